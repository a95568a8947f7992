"""What is learned of a site's own words: "nothing found" in any language, and never a refusal (docs/design.md 10)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bic_lib.appliance.learning import LONG_AGO, Learner, OwnLessons, Said, says_only
from bic_lib.appliance.reports import REPORTS
from bic_lib.appliance.texts import Texts
from bic_lib.core.errors import Gone, NotReady, Refused, UnknownText
from bic_lib.core.model import DAY, DataType, ReportKind, Selection, Window
from bic_lib.simulator import Recording, Simulator
from bic_lib.simulator.languages import TEXTS, Language, Words, said
from tests.appliance.conftest import NOW, PRESENTATION, SUPPORT, MakeClient, ended, fetch, truths

LANGUAGES: tuple[Language, ...] = ("de", "ja", "fr", "es", "pt", "zh")
ACCOUNT = "account"
SCREEN = DataType.SESSION_RECORDINGS
NOTHING = "nothing_found"


@dataclass(frozen=True)
class Site:
    """A site as its answers show it: `refuses` names the text with which it refuses each report, if it does.

    `right_first`: it looks at the right before the question; `too_old`, `too_short`, `too_long`: what it says to
    times that it does not take. `breaks`: what it must refuse is answered with HTTP 500.
    """

    language: Language
    holds: bool
    refuses: str = ""
    right_first: bool = True
    too_old: str = ""
    too_short: str = ""
    shortest: int = 0
    too_long: str = ""
    breaks: bool = False
    both_starts: bool = True
    visible: bool = False

    account = ACCOUNT

    def now(self) -> tuple[float, bool]:
        return NOW, True

    def text(self, words: str) -> str:
        return said(words, self.language, subject="Support", name="NoSuchReport") if words in TEXTS["en"] else words

    def granted(self, _kind: ReportKind) -> bool | None:
        return not self.refuses if self.visible else None

    def said(self, parameters: Mapping[str, str]) -> Said:
        wrong = self._wrong(parameters)
        if self.breaks and wrong:
            return Said()
        refusals = (self.refuses, wrong) if self.right_first else (wrong, self.refuses)
        words = next(filter(None, refusals), "") or self._of_times(parameters)
        return Said(self.text(words)) if words else Said(holds=True)

    def _of_times(self, parameters: Mapping[str, str]) -> str:
        """What is said to a right question, "" where sessions are given."""
        old = parameters.get("end_time") == str(LONG_AGO.begin)
        seconds = int(parameters["duration"])
        refused = [
            (old, self.too_old),
            (seconds < self.shortest, self.too_short),
            (seconds > DAY, self.too_long),
            (old or seconds < DAY or not self.holds, NOTHING),
        ]
        return next((words for applies, words in refused if applies and words), "")

    def _wrong(self, parameters: Mapping[str, str]) -> str:
        names = {names.full for names in REPORTS.values()} | {names.listing for names in REPORTS.values()}
        if parameters["generate_report"] not in names:
            return "unknown_report"
        return "one_start" if {"start_time", "end_time"} <= set(parameters) and self.both_starts else ""


WORDS = st.sampled_from([words for words in TEXTS["de"] if words != NOTHING])
SITES = st.builds(
    Site,
    language=st.sampled_from(LANGUAGES),
    holds=st.booleans(),
    refuses=st.one_of(st.just(""), WORDS),
    right_first=st.booleans(),
    too_old=st.one_of(st.just(""), WORDS),
    too_short=st.one_of(st.just(""), WORDS),
    shortest=st.sampled_from([1, 60, 600, 900]),
    both_starts=st.booleans(),
    visible=st.booleans(),
)


@settings(max_examples=300)
@given(site=SITES, words=WORDS)
def test_no_refusal_is_ever_learned(site: Site, words: str) -> None:
    """Whatever a site refuses, in whatever order it looks at rights, questions and dates, in six languages."""
    lessons = OwnLessons()
    for text in (site.text(words), site.text(site.refuses or words)):
        assert not Learner(site, lessons).is_nothing_found(SUPPORT, text)
    assert not lessons.learned(SUPPORT, ACCOUNT)


@given(site=SITES)
def test_what_says_nothing_found_is_learned_where_the_site_shows_that_it_answers(site: Site) -> None:
    """By a session of the last week or by `get_api_info`; where it refuses, or says something else of old times, not."""
    lessons, text = OwnLessons(), site.text(NOTHING)
    clear = not (site.refuses or site.too_old) and site.both_starts
    assert Learner(site, lessons).is_nothing_found(SUPPORT, text) == (clear and (site.holds or site.visible))
    assert bool(lessons.learned(SUPPORT, ACCOUNT)) == (clear and (site.holds or site.visible))


@pytest.mark.parametrize(
    "site",
    [
        Site("de", holds=True, breaks=True),
        Site("de", holds=False, visible=True, too_long="too_long"),
    ],
    ids=["refuses nothing in words", "does not say so of a week"],
)
def test_a_site_that_leaves_a_doubt_teaches_nothing(site: Site) -> None:
    """Nothing is known of its refusals; or it grants the right, shows no session, and does not say that there is none."""
    assert not Learner(site, OwnLessons()).is_nothing_found(SUPPORT, site.text(NOTHING))


def test_what_was_learned_counts_only_while_the_site_shows_that_it_answers() -> None:
    """The right is taken away, and the site says the same of everything that holds no session: nobody believes it any more."""
    lessons, time = OwnLessons(), [0.0]
    well, ill = Site("de", holds=True), Site("de", holds=False)
    text = well.text(NOTHING)
    assert Learner(well, lessons).is_nothing_found(SUPPORT, text)
    learner = Learner(ill, lessons, lambda: time[0])
    assert not learner.is_nothing_found(SUPPORT, text)


def test_what_a_site_has_shown_is_believed_for_ten_minutes() -> None:
    """A walk over months asks nothing more of it; then it is asked again."""
    asked: list[Mapping[str, str]] = []

    class Counted(Site):
        def said(self, parameters: Mapping[str, str]) -> Said:
            asked.append(parameters)
            return super().said(parameters)

    time = [0.0]
    learner = Learner(Counted("de", holds=True), OwnLessons(), lambda: time[0])
    text = said("nothing_found", "de", subject="Support")
    for _ in range(50):
        assert learner.is_nothing_found(SUPPORT, text)
    first = len(asked)
    time[0] += 601
    assert learner.is_nothing_found(SUPPORT, text)
    assert first < 8
    assert first < len(asked) < 2 * first, "what is known is not asked for again, but whether it answers"


def test_a_lesson_holds_for_its_account_and_report_only() -> None:
    """Another account may be refused in these words, and another report say others."""
    lessons = OwnLessons()
    lessons.learn(SUPPORT, "another", "Keine Daten.")
    assert not Learner(Site("de", holds=True), lessons).is_nothing_found(SUPPORT, "Keine Daten.")
    lessons.learn(SUPPORT, ACCOUNT, "Keine Daten.")
    assert Learner(Site("de", holds=True), lessons).is_nothing_found(SUPPORT, "keine  DATEN.")
    assert not Learner(Site("de", holds=True), lessons).is_nothing_found(PRESENTATION, "Keine Daten.")


# --- over HTTPS ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("shape", ["error", "error_in_list"])
def test_nothing_found_in_any_language_is_an_empty_report(
    sim: Simulator, client: MakeClient, language: Language, shape: str
) -> None:
    """For windows and listings of a site that shows sessions elsewhere."""
    sim.faults.language, sim.faults.nothing_found = language, shape  # type: ignore[assignment]  # parametrised
    nowhere = Window(int(NOW) - 500 * DAY, int(NOW) - 499 * DAY)
    assert fetch(client(), Selection(ended=nowhere)) == []
    assert list(client().listing(SUPPORT, nowhere)) == []


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("status", [200, 403])
def test_a_refusal_in_any_language_is_no_empty_report(
    sim: Simulator, client: MakeClient, language: Language, status: int
) -> None:
    """The missing right is named, or the site's words are, with the line that would settle them."""
    sim.faults.language, sim.faults.denied_status = language, status  # type: ignore[assignment]  # parametrised
    sim.faults.denied = {REPORTS[SUPPORT].permission, "perm_command"}
    with pytest.raises(Refused if status == 403 else UnknownText) as caught:
        ended(client())
    if status == 200:
        assert said("no_right", language) in caught.value.message
        assert "texts = { nothing_found = [" in caught.value.hint
        sim.faults.denied = {REPORTS[SUPPORT].permission}
        with pytest.raises(UnknownText, match="The account lacks the right “Reporting API: support session"):
            ended(client())


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_said_of_an_id_is_never_offered_as_nothing_found(sim: Simulator, client: MakeClient, language: Language) -> None:
    """As a setting it would make a whole call with one bad id an empty one: 49 good sessions would be passed over."""
    sim.faults.language = language
    with pytest.raises(UnknownText) as caught:
        fetch(client(), Selection(lsids=("zzz",)))
    assert said("invalid_lsid", language) in caught.value.message
    assert "asked for by id" in caught.value.hint
    assert "texts =" not in caught.value.hint


def test_a_text_that_is_cut_is_offered_without_its_dots() -> None:
    """The line has to hold what the site says; its end is not known."""
    assert 'nothing_found = ["Keine Daten"]' in says_only("a", "Keine Daten…", "").hint


@pytest.mark.parametrize("language", ["de", "ja", "es", "pt", "zh"])
def test_a_site_s_own_texts_are_understood_as_they_are_configured(sim: Simulator, client: MakeClient, language: Language) -> None:
    """Of a site that shows no session and grants nothing visibly; a recording's texts decide what becomes of it."""
    sim.faults.language, sim.faults.denied = language, {"perm_command"}
    words = TEXTS[language]
    texts = Texts(
        ("Presentation".join(words["nothing_found"].split("{subject}")),),
        (words["expired"],),
        (words["not_ready"],),
        (words["no_recording"],),
    )
    one = client(texts=texts)
    sim.faults.keeps = 1.0
    assert ended(one, PRESENTATION) == []
    sim.faults.keeps = None
    lsid = next(truth.lsid for truth in truths(sim, "ended") if truth.recordings)
    for how, error in ((Recording(expired=True), Gone), (Recording(none=True), Gone), (Recording(not_ready=9), NotReady)):
        sim.faults.recording = how
        with pytest.raises(error), one.recording(DataType.SESSION_RECORDINGS, lsid, None):
            pass


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_said_of_a_file_in_a_language_that_nobody_knows_is_final_for_nobody(
    sim: Simulator, client: MakeClient, language: Language
) -> None:
    """Neither expired nor none, nor a file; told with the line that settles it. A refusal, in whatever words, stays one."""
    sim.faults.language, sim.faults.denied_status, one = language, 200, client()
    lsid = next(truth.lsid for truth in truths(sim, "ended") if truth.recordings)
    known = language == "fr"  # whose texts the vendor's guide quotes
    hows: dict[Words, Recording] = {
        "expired": Recording(expired=True),
        "no_recording": Recording(none=True),
        "not_ready": Recording(not_ready=9),
    }
    for words, how in hows.items():
        sim.faults.recording = how
        with pytest.raises((Gone, NotReady) if known else UnknownText) as caught, one.recording(SCREEN, lsid, None):
            pass
        assert (
            known or f"texts = {{ not_ready = [{json.dumps(said(words, language), ensure_ascii=False)}] }}" in caught.value.hint
        )
    sim.faults.denied = {REPORTS[SUPPORT].permission, "perm_backup"}
    with pytest.raises(UnknownText) as caught, one.recording(SCREEN, lsid, None):
        pass
    with pytest.raises(UnknownText, match="give it to the API account") as of_backup, one.backup():
        pass
    assert said("no_right", language) in caught.value.message
    assert said("no_right", language) in of_backup.value.message


@pytest.mark.parametrize(
    "refusal", ["Access denied: no recording is available.", "You lack permission: this recording has expired."]
)
def test_a_refusal_is_one_whatever_else_it_holds(sim: Simulator, client: MakeClient, refusal: str) -> None:
    """It is the account's, and no recording is given up for it; the site's own texts don't change that."""
    lsid = next(truth.lsid for truth in truths(sim, "ended") if truth.recordings)
    sim.faults.recording = Recording(error=refusal)
    with pytest.raises(Refused), client(texts=Texts(none=("recording",))).recording(SCREEN, lsid, None):
        pass
