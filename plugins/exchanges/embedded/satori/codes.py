"""SatoriEx's answers: an envelope with a numeric code, and a message in the caller's language that nobody may rely on.

The codes that the exchange documents are 2002, 2025, 3001, 5002, 5004, 5007, 5008 and 50000; the others are assumed.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Final

import msgspec

from pmrun.plugins.exchanges.embedded.terms import Reply

JSON: Final = {"content-type": "application/json"}
LANGUAGES: Final = ("en", "zh", "ja")


class Code(IntEnum):
    """What went wrong."""

    BAD_REQUEST = 1001
    NO_SUCH_CALL = 1004
    TOO_MANY = 1029
    TOKEN_INVALID = 2001
    TOKEN_EXPIRED = 2002
    BAD_CREDENTIALS = 2003
    TWO_FACTOR_REQUIRED = 2025
    IDENTITY_REQUIRED = 2026
    SCOPE_MISSING = 2030
    NO_BALANCE = 3001
    NO_MARKET = 4004
    NO_ORDER = 5001
    BAD_PRICE = 5002
    BAD_QUANTITY = 5003
    BAD_SIDE = 5004
    NOT_TRADING = 5007
    NO_POSITION = 5008
    INTERNAL = 50000


_STATUS: Final[dict[Code, int]] = {
    Code.NO_SUCH_CALL: 404,
    Code.TOO_MANY: 429,
    Code.TOKEN_INVALID: 401,
    Code.TOKEN_EXPIRED: 401,
    Code.BAD_CREDENTIALS: 401,
    Code.TWO_FACTOR_REQUIRED: 403,
    Code.IDENTITY_REQUIRED: 403,
    Code.SCOPE_MISSING: 403,
    Code.NO_MARKET: 404,
    Code.NO_ORDER: 404,
    Code.NOT_TRADING: 409,
    Code.INTERNAL: 500,
}
_MESSAGES: Final[dict[Code, tuple[str, str, str]]] = {
    Code.BAD_REQUEST: ("The request could not be read", "请求格式错误", "リクエストの形式が正しくありません"),
    Code.NO_SUCH_CALL: ("There is nothing here", "接口不存在", "該当するAPIがありません"),
    Code.TOO_MANY: ("Too many requests", "请求过于频繁", "リクエストが多すぎます"),
    Code.TOKEN_INVALID: ("Please sign in", "请先登录", "ログインしてください"),
    Code.TOKEN_EXPIRED: ("Your session has expired", "登录已过期", "セッションの有効期限が切れました"),
    Code.BAD_CREDENTIALS: ("Wrong email or password", "邮箱或密码错误", "メールアドレスまたはパスワードが違います"),
    Code.TWO_FACTOR_REQUIRED: (
        "Two-factor authentication is required",
        "需要启用双重验证",
        "二段階認証が必要です",
    ),
    Code.IDENTITY_REQUIRED: ("Please verify your identity first", "请先完成身份认证", "本人確認を完了してください"),
    Code.SCOPE_MISSING: ("The token does not allow this", "令牌权限不足", "トークンの権限が不足しています"),
    Code.NO_BALANCE: ("Your balance is too low", "余额不足", "残高が不足しています"),
    Code.NO_MARKET: ("There is no such market", "市场不存在", "マーケットが見つかりません"),
    Code.NO_ORDER: ("There is no such order", "订单不存在", "注文が見つかりません"),
    Code.BAD_PRICE: ("The price is not allowed", "价格无效", "価格が無効です"),
    Code.BAD_QUANTITY: ("The quantity is not allowed", "数量无效", "数量が無効です"),
    Code.BAD_SIDE: ("The side must be 1 or 2", "买卖方向无效", "売買区分が無効です"),
    Code.NOT_TRADING: ("This market is not trading", "市场已暂停交易", "このマーケットは取引停止中です"),
    Code.NO_POSITION: ("You do not hold enough shares", "持仓不足", "保有数量が不足しています"),
    Code.INTERNAL: ("Something went wrong", "服务器内部错误", "サーバーエラーが発生しました"),
}


class Refusal(Exception):
    """A call that is answered with a code; `retry_after` is in seconds."""

    def __init__(self, code: Code, retry_after: int | None = None) -> None:
        """Take the code."""
        super().__init__(code.name)
        self.code = code
        self.retry_after = retry_after

    def reply(self, headers: Mapping[str, str]) -> Reply:
        """Return the answer in the language that these headers of the call ask for."""
        return error(self.code, headers, retry_after=self.retry_after)


def error(
    code: Code, headers: Mapping[str, str], *, status: int | None = None, retry_after: int | None = None
) -> Reply:
    """Return an error; from 500 on it has a trace id."""
    status = status or _STATUS.get(code, 400)
    body: dict[str, Any] = {"code": int(code), "msg": message(code, headers), "data": None}
    if status >= 500:
        body["trace_id"] = "simulated"
    extra = {} if retry_after is None else {"retry-after": str(retry_after)}
    return Reply(status=status, body=msgspec.json.encode(body), headers={**JSON, **extra})


def message(code: Code, headers: Mapping[str, str]) -> str:
    """Return the sentence of a code in the first language of Accept-Language that there is, else in English."""
    for part in headers.get("accept-language", "").lower().split(","):
        language = part.partition(";")[0].strip().partition("-")[0]
        if language in LANGUAGES:
            return _MESSAGES[code][LANGUAGES.index(language)]
    return _MESSAGES[code][0]


def success(data: Any, status: int = 200) -> Reply:
    """Return data in the envelope."""
    return Reply(status=status, body=msgspec.json.encode({"code": 0, "msg": "ok", "data": data}), headers=JSON)
