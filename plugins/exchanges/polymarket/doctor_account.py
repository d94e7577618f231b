"""What the exchange says of the account: key, wallet, money, and what contracts may take of it."""

from collections.abc import Callable
from functools import partial

import msgspec

from pmrun.plugins.exchanges.common.doctor_findings import Finding, misconfigured, not_tried, ok, refused, warning
from pmrun.plugins.exchanges.polymarket.credentials import (
    API_KEY,
    API_PASSPHRASE,
    API_SECRET,
    FUNDER,
    read_api_key,
    read_funder,
    read_private_key,
)
from pmrun.plugins.exchanges.polymarket.doctor_subject import Subject, cure_of
from pmrun.plugins.exchanges.polymarket.outcomes import CallFailed
from pmrun.plugins.exchanges.polymarket.rest import Rest
from pmrun.plugins.exchanges.polymarket.signing import Signer, is_position
from pmrun.plugins.exchanges.polymarket.transport import Access, Call
from pmrun.plugins.exchanges.polymarket.wire_account import BalanceAnswer, parse_balance
from pmrun.plugins.exchanges.polymarket.wire_fields import decode
from pmrun.plugins.exchanges.polymarket.wire_pages import open_page
from pmrun.runner.errors import ConfigError
from pmrun.runner.market import Market, TokenId
from pmrun.runner.units import Cash, format_cash

KINDS = {0: "a key alone", 1: "a proxy", 2: "a Safe", 3: "a deposit wallet"}
# Reference 1.4: who moves the money and the tokens of an order.
EXCHANGE_V2 = "0xE111180000d2663C0091e4f400237545B87B996B"
NEG_RISK_EXCHANGE_V2 = "0xe2222d279d744050d28e00520010520000310F59"
EXCHANGE_V3 = "0xe3333700cA9d93003F00f0F71f8515005F6c00Aa"
SPENDERS = {EXCHANGE_V2: "exchange V2", NEG_RISK_EXCHANGE_V2: "neg-risk exchange V2", EXCHANGE_V3: "exchange V3"}
PUSD = "0xC011a7E12a19f7B1f670d46F03B03f3342E82DFB"
CTF = "0x4D97DCd97eC945f40cF65F87097ACe5EA0476045"
POSITIONS = "0x006F54F7f9A22e0000CC2AB60031000000ae9fEF"
_KEY_VARIABLES = f"{API_KEY}, {API_SECRET} and {API_PASSPHRASE}"


class _Named(msgspec.Struct):
    """Who an order or a trade is of."""

    owner: str | None = None
    maker_address: str | None = None
    trader_side: str | None = None
    maker_orders: "list[_Named] | None" = None


_NAMED = msgspec.json.Decoder(_Named)


async def private_key(subject: Subject) -> list[Finding]:
    """Read the key; what is shown is its address."""
    signer = Signer(read_private_key(subject.environment))
    subject.signer = signer
    return [ok("private key", f"well-formed; its address is {signer.address}")]


async def api_key(subject: Subject) -> list[Finding]:
    """Use the API key that is given, else the one that the private key derives."""
    assert subject.signer is not None, "needs the private key"
    given = read_api_key(subject.environment)
    if given is None:
        return await _derived(subject, subject.signer)
    rest = subject.calls(subject.signer, given)
    try:
        await rest.closed_only()
    except CallFailed as failed:
        if failed.status is None or failed.status >= 402:
            raise
        return [await _given_is_refused(subject, subject.signer, str(failed))]
    subject.rest = rest
    return [ok("API key", "the given one is accepted")]


async def _derived(subject: Subject, signer: Signer) -> list[Finding]:
    rest = subject.calls(signer)
    await rest.create_or_derive_key()
    await rest.closed_only()
    subject.rest = rest
    return [ok("API key", "derived from the private key, and accepted")]


async def _given_is_refused(subject: Subject, signer: Signer, said: str) -> Finding:
    """Find out whose fault it is: the key that is derived is right where only the given one is wrong."""
    seen = f"the given one is refused: {said}"
    try:
        await _derived(subject, signer)
    except CallFailed as failed:
        return refused("API key", f"{seen}; none can be derived either: {failed}", cure_of(failed, subject.clock_fits))
    return refused(
        "API key", f"{seen}; the derived one is accepted", f"unset {_KEY_VARIABLES}: it is derived at every start"
    )


async def closed_only(subject: Subject) -> list[Finding]:
    """Ask whether this account may open anything."""
    if await subject.rest.closed_only():
        cure = "ask the exchange's support why; holdings can be sold there by hand"
        return [refused("closed only", "this account may close and nothing else", cure)]
    return [ok("closed only", "this account may open")]


async def signature_type(subject: Subject) -> list[Finding]:
    """See that signature type and funder fit together; where they do not, look where the money is (reference 2.3)."""
    assert subject.signer is not None, "needs the private key"
    assert subject.live is not None, "an account is live"
    kind = subject.live.signature_type
    try:
        funder = read_funder(subject.environment)
        signer = Signer(subject.signer.private_key, signature_type=kind, funder=funder)
    except ConfigError as error:
        return [misconfigured("signature type", str(error), _cure_of_kind(kind) + await _money_elsewhere(subject))]
    subject.signer, subject.funder_fits = signer, True
    if subject.rest.api_key is not None:
        subject.rest = subject.calls(signer, subject.rest.api_key)
    signs = signer.maker if kind == 3 else signer.address
    return [ok("signature type", f"{kind}, {KINDS[kind]}: {signs} signs, {signer.maker} pays")]


def _cure_of_kind(kind: int) -> str:
    if kind == 0:
        others = ", ".join(f"{number} ({name})" for number, name in KINDS.items() if number)
        return f"unset {FUNDER}, or say what kind of wallet it is: executor.signature_type={others}"
    return f"set {FUNDER} to the wallet that polymarket.com shows as yours, or executor.signature_type=0"


async def _money_elsewhere(subject: Subject, but: int | None = None) -> str:
    """Say for which other signature types the exchange sees money of this key; nothing where it sees none."""
    if subject.rest.api_key is None:
        return ""
    held = {kind: await _collateral(subject.rest, kind) for kind in KINDS if kind != but}
    said = ", ".join(f"${format_cash(cash)} for signature type {kind}" for kind, cash in held.items() if cash)
    return f" (the exchange sees {said})" if said else ""


async def _collateral(rest: Rest, kind: int) -> Cash:
    query = (("asset_type", "COLLATERAL"), ("signature_type", str(kind)))
    call = Call(service=rest.urls.clob, path="/balance-allowance", query=query, access=Access.ACCOUNT)
    try:
        return Cash(parse_balance((await rest.transport.read(call)).body).balance)
    except CallFailed as failed:
        if failed.status is not None and failed.status < 500:  # a kind that this account does not know
            return Cash(0)
        raise


async def funder(subject: Subject) -> list[Finding]:
    """Compare the wallet with the one that earlier orders and trades of this API key were of."""
    assert subject.signer is not None, "needs the private key"
    wallet, rest = subject.signer.wallet, subject.rest
    if wallet.signature_type == 0:
        return [ok("funder", f"{wallet.funder}, the key's own wallet")]
    named: set[str] = set()
    for path in ("/data/orders", "/data/trades"):
        answer = await rest.transport.read(Call(service=rest.urls.clob, path=path, access=Access.ACCOUNT))
        for row in open_page(answer.body, path).rows:
            named |= _wallets(decode(_NAMED, row, path), "" if rest.api_key is None else rest.api_key.key)
    if not named:
        return [not_tried("funder", "no order or trade of this API key names a wallet: compare it with polymarket.com")]
    if wallet.funder.lower() in {each.lower() for each in named}:
        return [ok("funder", f"{wallet.funder}, as in this API key's orders and trades")]
    theirs = ", ".join(sorted(named))
    seen = f"orders and trades of this API key are of {theirs}, and {FUNDER} is {wallet.funder}"
    return [misconfigured("funder", seen, f"set {FUNDER} to the wallet that trades")]


def _wallets(row: _Named, key: str) -> set[str]:
    """Return the wallets that a row names as ours; a trade of which we were a maker is headed by its taker."""
    parts = [*(row.maker_orders or ()), *(() if row.trader_side == "MAKER" else (row,))]
    return {part.maker_address for part in parts if part.owner == key and part.maker_address}


async def balance(subject: Subject) -> list[Finding]:
    """Ask what there is to trade with; looked at anew on the chain where there is nothing."""
    assert subject.signer is not None, "needs the private key"
    assert subject.live is not None, "an account is live"
    wallet = subject.signer.wallet
    held = Cash((await _renewed(subject.rest, None, lambda answer: answer.balance > 0)).balance)
    seen = f"${format_cash(held)} pUSD for signature type {wallet.signature_type}"
    if not held:
        elsewhere = await _money_elsewhere(subject, wallet.signature_type)
        if elsewhere:
            cure = f"set executor.signature_type to where the money is, and {FUNDER} to its wallet"
            return [misconfigured("balance", seen + elsewhere, cure)]
        cure = f"deposit to {wallet.funder}; USDC and USDC.e do not count: wrap them to pUSD"
        return [refused("balance", seen, cure)]
    cap = subject.live.max_order_usd
    if cap is not None and held < cap:
        return [warning("balance", seen, f"less than one order of live.max_order_usd={format_cash(cap)}: deposit more")]
    return [ok("balance", seen)]


async def allowance(subject: Subject) -> list[Finding]:
    """Ask what each exchange contract may take: collateral for bids, tokens for asks (reference 8)."""
    first: dict[str, Market] = {}
    for market in subject.markets:
        first.setdefault(spender_of(market), market)
    collateral = await _renewed(subject.rest, None, lambda answer: all(_may(answer, each) for each in first))
    found = [
        _missing(subject, spender, "pUSD", spender in first or not first)
        for spender in SPENDERS
        if not _may(collateral, spender)
    ]
    for spender, market in first.items():
        token = await _renewed(subject.rest, market.yes, partial(_may, spender=spender))
        if not _may(token, spender):
            found.append(_missing(subject, spender, "outcome tokens", True))
    if found:
        return found
    low = [spender for spender in first if _may(collateral, spender) < collateral.balance]
    if low:
        said = ", ".join(f"{SPENDERS[each]} ${format_cash(Cash(_may(collateral, each)))}" for each in low)
        cure = f"{_approval(subject, low[0], 'pUSD')} before it is used up"
        return [warning("allowance", f"less than the balance: {said}", cure)]
    return [ok("allowance", ", ".join(SPENDERS[each] for each in first or SPENDERS) + " may take pUSD and tokens")]


async def _renewed(rest: Rest, token: TokenId | None, enough: Callable[[BalanceAnswer], int]) -> BalanceAnswer:
    """Return what the exchange sees; where that is not enough, after it looked at the chain anew (reference 3.5)."""
    answer = await rest.balance(token)
    if enough(answer):
        return answer
    await rest.update_balance(token)
    return await rest.balance(token)


def spender_of(market: Market) -> str:
    """Return the contract that settles a market's orders (reference 1.4)."""
    if is_position(market.yes):
        return EXCHANGE_V3
    return NEG_RISK_EXCHANGE_V2 if market.neg_risk else EXCHANGE_V2


def _may(answer: BalanceAnswer, spender: str) -> int:
    """Return what a spender may take; a server that names none means all of them (reference 3.5)."""
    allowed = {name.lower(): amount for name, amount in answer.allowances.items()}
    return allowed.get(spender.lower(), allowed.get("", 0))


def _missing(subject: Subject, spender: str, what: str, needed: bool) -> Finding:
    seen = f"{SPENDERS[spender]} {spender} may take no {what}"
    if needed:
        return refused("allowance", seen, _approval(subject, spender, what))
    return warning("allowance", seen, f"no market that was found needs it; {_approval(subject, spender, what)}")


def _approval(subject: Subject, spender: str, what: str) -> str:
    assert subject.signer is not None, "needs the private key"
    wallet = subject.signer.wallet
    if wallet.signature_type != 0:
        return f"enable trading for {wallet.funder} at polymarket.com: it sends the approvals"
    if what == "pUSD":
        return f"from {wallet.funder}: approve({spender}, max) on pUSD {PUSD}; gas is paid in POL"
    contract = f"PositionManager {POSITIONS}" if spender == EXCHANGE_V3 else f"CTF {CTF}"
    return f"from {wallet.funder}: setApprovalForAll({spender}, true) on {contract}; gas is paid in POL"
