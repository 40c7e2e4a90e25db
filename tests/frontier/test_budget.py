"""Budgets as people write them: every unit, each fault by its remedy, and back to text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiq_core import entered
from aiq_core.errors import SettingError
from aiq_core.frontier import Budget, Quantity, parse_budgets
from aiq_core.hardware import PRESETS


@pytest.mark.parametrize(
    ("text", "quantity", "limit"),
    [
        ("drop<=0.5", Quantity.DROP, 0.5),
        ("drop<=0", Quantity.DROP, 0.0),
        ("intensity>=10x", Quantity.INTENSITY, 10.0),
        (" intensity >= 10 ", Quantity.INTENSITY, 10.0),
        ("moved<=1.5MB", Quantity.MOVED, 1.5e6),
        ("moved<=20kB", Quantity.MOVED, 20e3),
        ("stored<=0.3MB", Quantity.STORED, 0.3e6),
        ("stored<=300 KB", Quantity.STORED, 300e3),
        ("stored<=300000B", Quantity.STORED, 300e3),
        ("stored<=3e5", Quantity.STORED, 3e5),
        ("bits<=2.8", Quantity.BITS, 2.8),
    ],
)
def test_a_budget_is_read_in_every_unit(text: str, quantity: Quantity, limit: float) -> None:
    assert Budget.parse(text) == Budget(quantity, pytest.approx(limit))  # type: ignore[arg-type]


@pytest.mark.parametrize(("unit", "seconds"), [("us", 200e-6), ("µs", 200e-6), ("ms", 0.2), ("s", 200.0)])
def test_a_time_is_of_a_machine(unit: str, seconds: float) -> None:
    found = Budget.parse(f"time<=200{unit}@pi-5")
    assert (found.quantity, found.machine, found.limit) == (Quantity.TIME, "pi-5", pytest.approx(seconds))


def test_a_drop_may_be_held_with_confidence() -> None:
    assert Budget.parse("drop<=0.5@95%") == Budget(Quantity.DROP, 0.5, confident=True)
    assert not Budget.parse("drop<=0.5@95%").is_linear
    assert Budget.parse("bits<=3").is_linear


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cannot be read; write it like drop<=0.5, "),
        ("speed<=3", "'speed<=3' cannot be read"),
        ("drop<0.5", "cannot be read"),
        ("drop>=0.5", "limits drop from the wrong side; intensity takes >=, all others take <="),
        ("intensity<=10x", "limits intensity from the wrong side"),
        ("stored<=3GB", "unit 'GB' of budget 'stored<=3GB' is not known; stored takes 'MB', 'kB', 'KB', 'B'"),
        ("bits<=3MB", "unit 'MB' of budget 'bits<=3MB' is not known; bits takes none"),
        ("time<=200@pi-5", "unit '' of budget 'time<=200@pi-5' is not known; time takes 'us', 'µs', 'ms', 's'"),
        ("time<=200us", "names no machine; write it like time<=200us@pi-5"),
        ("drop<=0.5@99%", "'99%' in budget 'drop<=0.5@99%' is not known; drop takes @95%, time a machine"),
        ("bits<=2.8@95%", "'95%' in budget 'bits<=2.8@95%' is not known"),
        ("bits<=-1", "limit '-1' of budget 'bits<=-1' is not a number above 0"),
        ("stored<=0B", "is not a number above 0"),
        ("bits<=1e999", "is not a number above 0"),
        ("bits<=1e", "unit 'e' of budget 'bits<=1e' is not known"),
    ],
)
def test_what_is_no_budget_says_why(text: str, said: str) -> None:
    with pytest.raises(SettingError) as error:
        Budget.parse(text)
    assert said in str(error.value)


def test_a_machine_that_is_only_known_elsewhere_has_its_key_for_a_name() -> None:
    assert Budget.parse("time<=200us@pi-6").words() == "at most 200.0 µs an image on pi-6"
    mine = entered.machine("pi-6", "My Pi", 1e9, {"FP32": 1e9})
    assert Budget.parse("time<=200us@pi-6").words({"pi-6": mine}) == "at most 200.0 µs an image on My Pi"


def test_a_quantity_is_limited_once_and_each_machine_has_its_own_time() -> None:
    with pytest.raises(SettingError, match="stored is limited 2 times; keep the tightest budget"):
        parse_budgets(["stored<=1MB", "bits<=3", "stored<=2MB"])
    both = parse_budgets(["time<=1ms@pi-5", "time<=1ms@a100-fp32"])
    assert [budget.machine for budget in both] == ["pi-5", "a100-fp32"]
    assert parse_budgets([]) == ()


@given(
    st.sampled_from(list(Quantity)),
    st.floats(1e-6, 1e9),
    st.booleans(),
    st.sampled_from(sorted(PRESETS)),
)
def test_text_is_read_back(quantity: Quantity, limit: float, confident: bool, name: str) -> None:
    is_time = quantity is Quantity.TIME
    budget = Budget(quantity, limit, name if is_time else None, confident and quantity is Quantity.DROP)
    found = Budget.parse(str(budget))
    assert found == Budget(quantity, pytest.approx(limit, rel=1e-11), budget.machine, budget.confident)  # type: ignore[arg-type]
    assert str(found) == str(budget)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("drop<=0.5", "at most 0.50 points lost"),
        ("drop<=0.5@95%", "at most 0.50 points lost with 95 % confidence"),
        ("intensity>=10x", "at least 10.00 × FP32's AI"),
        ("stored<=0.3MB", "at most 300 kB stored"),
        ("bits<=2.8", "at most 2.80 bits a weight on average"),
        ("time<=200us@pi-5", "at most 200.0 µs an image on Raspberry Pi 5"),
    ],
)
def test_budgets_in_words(text: str, words: str) -> None:
    assert Budget.parse(text).words() == words
