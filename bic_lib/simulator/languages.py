"""What an appliance says in its site's language: what was not found, what it refuses, and why (docs/appliance.md 2.1.11, 8.2)."""

from typing import Literal

Language = Literal["en", "fr", "de", "ja", "es", "pt", "zh"]
Words = Literal[
    "nothing_found",
    "unknown_report",
    "one_start",
    "one_way",
    "no_right",
    "too_long",
    "no_number",
    "invalid_date",
    "invalid_lsid",
    "expired",
    "no_recording",
    "not_ready",
]

_ENGLISH: dict[Words, str] = {
    "nothing_found": "No {subject} report information matching your chosen criteria is available.",
    "unknown_report": "Unknown report: {name}.",
    "one_start": "Exactly one of start_date, start_time, end_date, end_time is required.",
    "one_way": "Give either a time range, or lsid, or lsids.",
    "no_right": "The API account does not have permission to perform this action.",
    "too_long": "The requested duration is too long.",
    "no_number": "The parameter {name} must be a number that is not negative.",
    "invalid_date": "Invalid date: {name}.",
    "invalid_lsid": "Invalid lsid.",
    "expired": "This recording has expired and can no longer be viewed or downloaded.",
    "no_recording": "No recording is available for this session.",
    "not_ready": "The recording is not yet available.",
}

TEXTS: dict[Language, dict[Words, str]] = {
    "en": _ENGLISH,
    "fr": {
        "nothing_found": "Aucune information de rapport {subject} correspondant à vos critères n’est disponible.",
        "unknown_report": "Rapport inconnu : {name}.",
        "one_start": "Une seule date de début est requise : start_date, start_time, end_date ou end_time.",
        "no_right": "Le compte d’API n’est pas habilité à consulter les rapports correspondant à vos critères.",
        "too_long": "La durée demandée est trop longue.",
        "invalid_lsid": "Identifiant de session non valide.",
        "expired": "Cet enregistrement a expiré et ne peut plus être consulté ni téléchargé.",
        "no_recording": "Aucun enregistrement n’existe pour cette session.",
        "not_ready": "L’enregistrement n’est pas encore disponible.",
    },
    "de": {
        "nothing_found": "Es sind keine {subject}-Berichtsdaten verfügbar, die Ihren Kriterien entsprechen.",
        "unknown_report": "Unbekannter Bericht: {name}.",
        "one_start": "Genau eine der Angaben start_date, start_time, end_date, end_time ist erforderlich.",
        "no_right": "Das API-Konto ist nicht berechtigt, diese Aktion auszuführen.",
        "too_long": "Die angeforderte Dauer ist zu lang.",
        "invalid_lsid": "Ungültige Sitzungskennung.",
        "expired": "Diese Aufzeichnung ist abgelaufen und kann nicht mehr angesehen oder heruntergeladen werden.",
        "no_recording": "Zu dieser Sitzung gibt es keine Aufzeichnung.",
        "not_ready": "Die Aufzeichnung steht noch nicht bereit.",
    },
    "ja": {
        "nothing_found": "選択した条件に一致する{subject}レポート情報はありません。",
        "unknown_report": "不明なレポートです: {name}",
        "one_start": "start_date、start_time、end_date、end_time のいずれか 1 つだけを指定してください。",
        "no_right": "この API アカウントには、この操作を実行する権限がありません。",
        "too_long": "指定された期間が長すぎます。",
        "invalid_lsid": "lsid が無効です。",
        "expired": "この録画は有効期限が切れたため、表示またはダウンロードできません。",
        "no_recording": "このセッションの録画はありません。",
        "not_ready": "録画はまだ準備できていません。",
    },
    "es": {
        "nothing_found": "No hay información de informes de {subject} que coincida con los criterios elegidos.",
        "unknown_report": "Informe desconocido: {name}.",
        "one_start": "Se requiere exactamente uno de start_date, start_time, end_date, end_time.",
        "no_right": "La cuenta de API no tiene permiso para realizar esta acción.",
        "too_long": "La duración solicitada es demasiado larga.",
        "invalid_lsid": "El identificador de sesión no es válido.",
        "expired": "Esta grabación ha caducado y ya no se puede ver ni descargar.",
        "no_recording": "No existe ninguna grabación de esta sesión.",
        "not_ready": "La grabación todavía no está disponible.",
    },
    "pt": {
        "nothing_found": "Não há informações de relatório de {subject} que correspondam aos critérios escolhidos.",
        "unknown_report": "Relatório desconhecido: {name}.",
        "one_start": "É necessário exatamente um de start_date, start_time, end_date, end_time.",
        "no_right": "A conta de API não tem permissão para executar esta ação.",
        "too_long": "A duração solicitada é longa demais.",
        "invalid_lsid": "O identificador da sessão é inválido.",
        "expired": "Esta gravação expirou e não pode mais ser vista nem baixada.",
        "no_recording": "Não há gravação desta sessão.",
        "not_ready": "A gravação ainda não está disponível.",
    },
    "zh": {
        "nothing_found": "没有符合所选条件的{subject}报告信息。",
        "unknown_report": "未知报告：{name}。",
        "one_start": "必须且只能提供 start_date、start_time、end_date、end_time 中的一个。",
        "no_right": "API 帐户无权执行此操作。",
        "too_long": "请求的时长过长。",
        "invalid_lsid": "会话标识无效。",
        "expired": "此录像已过期，无法再查看或下载。",
        "no_recording": "此会话没有录像。",
        "not_ready": "录像尚未准备好。",
    },
}
"""By language; what one lacks is said in English, as on real sites."""


def said(words: Words, language: Language, **values: str) -> str:
    """What a site of this language says."""
    return TEXTS[language].get(words, _ENGLISH[words]).format(**values)
