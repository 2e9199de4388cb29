"""Many failed sign-ins: they slow down whoever makes them, and nobody else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.web.access.people import CODE_GOOD, NotSignedIn, SignedIn, Workplace, code_for
from listener.web.access.throttle import ADDRESS, DEVICE, PERSON, VISITOR, Brake, Throttle, keys_of_attempt, network_of
from tests.fakes import NOON
from tests.listener.web.signing import PASSWORD, Secured
from triage.errors import Transient
from workers.access_ports import Role
from workers.web_settings import WebSettings

WRONG = "wrong horse battery"


@pytest.fixture
def secured(tmp_path: Path) -> Secured:
    return Secured(tmp_path)


def test_the_pause_grows_and_ends(secured: Secured) -> None:
    browser = secured.browser(address="10.0.0.9")
    assert [browser.sign_in("reader", WRONG).status_code for _ in range(6)] == [401] * 6
    answer = browser.sign_in("reader")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert "the next one is accepted in 1 s" in answer.text
    secured.clock.advance(1)
    assert browser.sign_in("reader", WRONG).status_code == 401
    assert browser.sign_in("reader").headers["retry-after"] == "2"
    secured.clock.advance(2)
    assert browser.sign_in("reader").status_code == 303


def flood(secured: Secured, address: str) -> None:
    """Somebody takes a new browser for each guess, until the address waits."""
    for number in range(ADDRESS.free + 10):
        secured.people.sign_in(f"reader{number}", WRONG, Workplace(address, visitor=f"new {number}"))


@pytest.mark.parametrize(
    ("names", "browsers"),
    [
        pytest.param(("reader",), 1, id="the very name, in one browser"),
        pytest.param(("reader", "nobody", "administrator"), 1, id="several names"),
        pytest.param(("reader",), 0, id="without a cookie"),
        pytest.param(("nobody", "somebody"), 12, id="other names, in a dozen browsers"),
    ],
)
def test_who_guesses_on_at_the_same_address_keeps_no_new_browser_out(
    secured: Secured, names: tuple[str, ...], browsers: int
) -> None:
    """A day of it, each browser as often as it is looked at; a new browser of the reader comes now and then."""
    for second in range(0, 86_400, 10):
        for number in range(max(browsers, 1)):
            place = Workplace("10.0.0.9", visitor=f"attacker {number}" if browsers else "")
            secured.people.sign_in(names[second // 10 % len(names)], f"guess {second}", place)
        if second % 3600 == 1800:
            done = secured.people.sign_in("reader", PASSWORD, Workplace("10.0.0.9", visitor=f"own {second}"))
            waits = done.wait_s if isinstance(done, NotSignedIn) else 0.0
            assert waits <= ADDRESS.longest_s, second
            assert browsers > 1 or isinstance(done, SignedIn), second
        secured.clock.advance(10)


def test_a_new_browser_for_each_guess_makes_others_wait_for_a_short_time(secured: Secured) -> None:
    for number in range(2000):
        place = Workplace("10.0.0.9", visitor=f"new {number}")
        secured.people.sign_in("reader", WRONG, place)
        secured.clock.advance(1)
    done = secured.people.sign_in("reader", PASSWORD, Workplace("10.0.0.9", visitor="own"))
    assert isinstance(done, NotSignedIn)
    assert 0 < done.wait_s <= PERSON.longest_s
    secured.clock.advance(done.wait_s)
    assert isinstance(secured.people.sign_in("reader", PASSWORD, Workplace("10.0.0.9", visitor="own")), SignedIn)


def test_a_code_of_an_administrator_lets_a_new_browser_in_at_once(secured: Secured) -> None:
    code, stored = code_for("reader", secured.clock.now())
    secured.accounts.remember_device(stored)
    flood(secured, "10.0.0.9")
    browser = secured.browser(address="10.0.0.9")
    assert browser.sign_in("reader", code="another code").status_code == 429
    assert browser.sign_in("administrator", code=code).status_code == 429, "it is good for one name"
    assert browser.sign_in("reader", WRONG, code=code).status_code == 401, "and no password"
    assert browser.sign_in("reader", code=f" {code} ").status_code == 303
    browser.cookies.delete("icansee-session")
    assert browser.sign_in("reader").status_code == 303, "the browser is known now"
    secured.clock.advance(CODE_GOOD.total_seconds())
    flood(secured, "10.0.0.9")
    assert secured.browser(address="10.0.0.9").sign_in("reader", code=code).status_code == 429, "after its day"


def test_honest_mistakes_of_many_months_are_forgotten() -> None:
    """A hospital behind one address mistypes twice an hour."""
    throttle, now = Throttle(), NOON
    for number in range(5000):
        throttle.counted(keys_of_attempt(f"name{number % 50}", "10.0.0.9", None, f"browser {number}"), now)
        now += timedelta(minutes=30)
    assert throttle.wait_s(keys_of_attempt("reader", "10.0.0.9", None, "new"), now - timedelta(minutes=30)) == 0.0


def test_an_attacker_elsewhere_delays_nobody(secured: Secured) -> None:
    attacker = secured.browser(address="10.0.0.9")
    for _ in range(40):
        attacker.sign_in("reader", WRONG)
    assert attacker.sign_in("reader").status_code == 429
    assert secured.browser(address="10.0.0.7").sign_in("reader").status_code == 303


def test_a_known_browser_is_not_slowed_down_by_its_neighbours(secured: Secured) -> None:
    """All workstations of a hospital may have one address."""
    own = secured.browser(address="10.0.0.9")
    own.sign_in("reader")
    own.cookies.delete("icansee-session")
    flood(secured, "10.0.0.9")
    assert secured.browser(address="10.0.0.9").sign_in("administrator").status_code == 429, "the address itself waits"
    assert own.sign_in("reader").status_code == 303
    stolen = secured.browser(address="10.0.0.9")
    stolen.cookies.set("icansee-device", own.cookies["icansee-device"])
    assert stolen.sign_in("administrator").status_code == 429, "it is known for one name only"


def test_a_browser_is_known_for_everybody_who_signed_in_there(secured: Secured) -> None:
    """A reading room: who comes second does not make the first one a stranger."""
    shared = secured.browser(address="10.0.0.9")
    for name in ("reader", "administrator", "reader", "service"):
        assert shared.sign_in(name).status_code == 303
    flood(secured, "10.0.0.9")
    for name in ("reader", "administrator", "service"):
        assert shared.sign_in(name).status_code == 303
    secured.accounts.end_sessions("reader")
    assert shared.sign_in("reader").status_code == 429, "the browsers of one account are forgotten"
    assert shared.sign_in("administrator").status_code == 303


@pytest.mark.parametrize("name", ["y" * 100_000, "a b", "", "ü"])
def test_a_name_that_no_account_can_have_is_kept_nowhere(secured: Secured, name: str) -> None:
    place = Workplace("10.0.0.9")
    for number in range(40):
        assert secured.people.sign_in(f"{number}{name} ü", WRONG, place) == NotSignedIn()
    assert not secured.people._throttle._failures


def test_a_known_browser_that_guesses_waits_too(secured: Secured) -> None:
    own = secured.signed_in(Role.READER)
    own.cookies.delete("icansee-session")
    for _ in range(6):
        own.sign_in("reader", WRONG)
    assert own.sign_in("reader").status_code == 429
    secured.clock.advance(DEVICE.longest_s)
    assert own.sign_in("reader").status_code == 303


def test_ten_thousand_failures(tmp_path: Path) -> None:
    """Over many names, from twenty addresses."""
    secured = Secured(tmp_path, web=WebSettings())
    looked_at = 0
    for number in range(10_000):
        place = Workplace(f"10.0.0.{number % 20}", visitor=f"a new browser {number}")
        done = secured.people.sign_in(f"reader{number}", WRONG, place)
        assert isinstance(done, NotSignedIn)
        looked_at += done.wait_s == 0
    assert looked_at == 20 * (ADDRESS.free + 1), "after the free ones none costs a hash"
    assert secured.browser(address="10.0.1.1").sign_in("reader").status_code == 303


@given(st.integers(min_value=0, max_value=10_000), st.sampled_from([DEVICE, VISITOR, PERSON, ADDRESS]))
def test_a_pause_never_shrinks_with_failures_and_never_locks(failures: int, brake: Brake) -> None:
    assert 0.0 <= brake.pause_s(failures) <= brake.pause_s(failures + 1) <= brake.longest_s
    assert (brake.pause_s(failures) == 0.0) is (failures <= brake.free)


def test_a_clock_that_is_set_back_locks_nobody_out() -> None:
    throttle, keys = Throttle(), keys_of_attempt("reader", "10.0.0.9", None)
    for _ in range(40):
        throttle.counted(keys, NOON)
    assert throttle.wait_s(keys, NOON) == VISITOR.longest_s
    assert throttle.wait_s(keys, NOON - timedelta(days=1)) == 0.0


def test_what_was_not_looked_at_counts_for_nothing() -> None:
    throttle, keys = Throttle(), keys_of_attempt("reader", "10.0.0.9", None)
    for _ in range(200):
        throttle.counted(keys, NOON)
        throttle.taken_back(keys, succeeded=False)
    assert throttle.wait_s(keys, NOON) == 0.0


def test_a_good_password_is_no_licence_to_guess() -> None:
    throttle = Throttle()
    for number in range(40):
        wrong = keys_of_attempt(f"name{number}", "10.0.0.9", None)
        throttle.counted(wrong, NOON)
        own = keys_of_attempt("attacker", "10.0.0.9", None)
        throttle.counted(own, NOON)
        throttle.taken_back(own, succeeded=True)
    assert throttle.wait_s(keys_of_attempt("reader", "10.0.0.9", None), NOON) > 0


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("10.0.0.9", "10.0.0.9"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("::ffff:10.0.0.9", "::ffff:10.0.0.9"),
        ("unknown", "unknown"),
    ],
)
def test_one_subscriber_is_one_place(address: str, place: str) -> None:
    assert network_of(address) == place


def test_ten_thousand_failing_sign_ins_keep_nobody_out(tmp_path: Path) -> None:
    """From 250 addresses, eight at once, for names that exist and others. A known browser and another place get in."""
    secured = Secured(tmp_path)
    home = secured.people.sign_in("reader", PASSWORD, Workplace("10.0.0.1"))
    assert isinstance(home, SignedIn)
    names, addresses = ("reader", "administrator", "nobody"), [f"192.0.2.{n}" for n in range(250)]

    def attack(number: int) -> bool:
        place = Workplace(addresses[number % len(addresses)])
        try:
            return isinstance(secured.people.sign_in(names[number % 3], f"guess {number}", place), SignedIn)
        except Transient:  # too many at once
            return False

    served = []
    with ThreadPoolExecutor(8) as pool:
        for start in range(0, 10_000, 1000):
            guesses = pool.map(attack, range(start, start + 1000))
            known = secured.people.sign_in("reader", PASSWORD, Workplace("192.0.2.7", home.device))
            served.append(isinstance(known, SignedIn))
            assert not any(guesses)
            assert secured.people.of_session(home.session) is not None
    assert served == [True] * 10
    assert isinstance(secured.people.sign_in("administrator", PASSWORD, Workplace("10.0.0.9")), SignedIn)
