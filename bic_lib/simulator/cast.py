"""The people, machines and sentences of the simulated sessions: invented, and as untidy as real ones."""

from dataclasses import dataclass
from random import Random

from bic_lib.simulator.population import SessionTruth


@dataclass(frozen=True)
class Team:
    """A support team."""

    id: int
    name: str


@dataclass(frozen=True)
class Representative:
    """A representative with its connection's number."""

    gsnumber: int
    id: int
    username: str
    public_name: str
    private_name: str
    number: int
    public_ip: str
    private_ip: str
    hostname: str
    os: str


@dataclass(frozen=True)
class Customer:
    """A customer with its connection's number."""

    gsnumber: int
    name: str
    username: str
    company: str
    company_code: str
    public_ip: str
    private_ip: str
    hostname: str
    os: str
    issue: int
    details: str


@dataclass(frozen=True)
class Cast:
    """Who takes part in one session; the first representative took the call, the last one owns it."""

    customer: Customer
    representatives: tuple[Representative, ...]
    teams: tuple[Team, ...]


TEAMS = (
    Team(2, "First Level"),
    Team(3, "Second Level"),
    Team(5, "Équipe Réseau"),
    Team(8, "現場サポート"),
    Team(9, 'R&D "Labs"'),
)

_REPRESENTATIVES = (
    (9, "cara", "Cara", "Cara First"),
    (14, "bo", "Bo", "Bo Tester"),
    (17, "jose.n", "José", "José Núñez"),
    (21, "EXAMPLE\\anne", "Anne-Lise", "Anne-Lise Bøe"),
    (22, "li.wei", "李伟", "李伟 (Li Wei)"),
    (31, "omar", "عمر", "عمر الخطيب"),
    (33, "zoe", "Zoë ✨", "Zoë O'Neil"),
    (40, "kov", "Kovács", "Kovács <Ági> & Co"),
)

_CUSTOMERS = (
    "Ada Example",
    "Dan Waiting",
    "Åsa Öberg",
    "Jürgen Groß",
    "山田 太郎",
    "שרה כהן",
    "Nguyễn Thị Hà",
    "Παναγιώτης",
    "O'Brien, Pat",
    "<guest>",
    "Łukasz 🙂",
    "",
)

_COMPANIES = (("Example & Sons", "EX-9"), ("Müller GmbH", "MU-1"), ("株式会社例", "JP-4"), ("", ""), ('"Quoted" Ltd', "Q"))

_SYSTEMS = (
    "Windows 11 Enterprise (23H2)",
    "Windows Server 2022 Datacenter (21H2)",
    "Windows 10 Pro (22H2)",
    "macOS 14.4",
    "Ubuntu 22.04 LTS",
    "Unknown",
)

_DETAILS = (
    'Printer prints "Ω" instead of text',
    "Outlook asks for the password again & again",
    "VPN: 5 < 10 Mbit/s since Monday",
    "画面が真っ暗です",
    "",
    "Le lecteur réseau P: n'est plus là",
)

CHAT = (
    "Hello, how can I help?\nMay I look at your screen?",
    "Yes, of course.",
    "It says: error 0x80070005 <access denied> & nothing else",
    "Danke, das hat geholfen! 👍",
    "  one moment, please  ",
    "再起動してもいいですか？",
    "אני רואה את ההודעה עכשיו",
    "Could you open C:\\Temp\\setup.log and tell me the last line?",
    "mixed line ends\r\nfrom a Windows clipboard",
    "‘quotes’, “more quotes” & an ellipsis…",
    "https://intranet.example.com/kb?id=42&lang=en",
    "Merci, à bientôt 👩‍💻",
    "if (a < b && c > d) { return ']]>'; }",
)

WINDOWS = (
    ("C:\\Windows\\explorer.exe", "Devices and Printers"),
    ("C:\\Program Files\\Microsoft Office\\OUTLOOK.EXE", "Posteingang – Outlook"),
    ("C:\\Windows\\System32\\mmc.exe", "Services (Local)"),
    ("/Applications/Safari.app", "Störungen & Hilfe"),
    ("chrome.exe", 'Search "0x80070005" – Chrome'),
)

FILES = ("C:\\Temp\\driver.zip", "C:\\Temp\\setup.log", "/home/ana/ärger & co.txt", "D:\\報告書.xlsx", "notes.txt")
NOTES = ("Driver replaced; user confirmed.", "Escalated → second level", "Problème résolu.\nÀ suivre: mise à jour", "対応済み")
COMMENTS = ("Quick help.\\nThank you", "Très bien", "", "はい", 'Could be "faster"')


def cast_of(truth: SessionTruth, random: Random) -> Cast:
    """The cast of one session."""
    base = 90 + truth.index % 400 * 5
    wanted = min(1 + (random.random() < 0.3) + (random.random() < 0.05), 3) if truth.attended else 0
    chosen = random.sample(range(len(_REPRESENTATIVES)), wanted)
    teams = random.sample(TEAMS, min(wanted, 2))
    representatives = tuple(_representative(who, base + 1 + at, random) for at, who in enumerate(chosen))
    return Cast(_customer(base, random), representatives, tuple(teams))


def _representative(who: int, gsnumber: int, random: Random) -> Representative:
    user_id, username, public_name, private_name = _REPRESENTATIVES[who]
    web_console = random.random() < 0.25
    port = 40_000 + int(random.random() * 20_000)
    return Representative(
        gsnumber=gsnumber,
        id=user_id,
        username=username,
        public_name=public_name,
        private_name=private_name,
        number=100 + user_id,
        public_ip=f"[2001:db8::{user_id}]:{port}" if web_console else f"198.51.100.{user_id}:{port}",
        private_ip="Unknown" if web_console else f"192.0.2.{user_id}",
        hostname="" if web_console else f"DESK-{user_id}",
        os="Unknown" if web_console else _SYSTEMS[user_id % 4],
    )


def _customer(gsnumber: int, random: Random) -> Customer:
    number = int(random.random() * 900)
    company, code = _COMPANIES[int(random.random() * len(_COMPANIES))]
    name = _CUSTOMERS[int(random.random() * len(_CUSTOMERS))]
    return Customer(
        gsnumber=gsnumber,
        name=name,
        username=f"EXAMPLE\\user{number}" if number % 3 else f"user{number}",
        company=company,
        company_code=code,
        public_ip=f"203.0.113.{number % 250}:{50_000 + number}",
        private_ip="Unknown" if number % 9 == 0 else f"10.20.{number % 200}.{number % 250}",
        hostname="" if number % 7 == 0 else f"NB-{number:05d}",
        os=_SYSTEMS[number % len(_SYSTEMS)],
        issue=number % 20,
        details=_DETAILS[number % len(_DETAILS)],
    )
