"""Changes of a trigger: declared, and as statements by hand that lock least."""

from typing import NamedTuple

CHANGED, OTHER = "lock_changed", "lock_other"
BODY, OTHER_BODY = "RETURN NEW;", "NEW.version = 1; RETURN NEW;"
ON = f"BEFORE UPDATE ON {CHANGED} FOR EACH ROW"
WHEN = "WHEN (OLD.amount IS DISTINCT FROM NEW.amount)"
AFTER = f"AFTER UPDATE ON {CHANGED} DEFERRABLE INITIALLY DEFERRED FOR EACH ROW"


def declaration(func: str = BODY, more: str = "") -> str:
    return (
        'pgtrigger.Trigger(name="t", when=pgtrigger.Before, operation=pgtrigger.Update, '
        f"func={func!r}{more})"
    )


DEFERRED = declaration(more=", timing=pgtrigger.Deferred").replace("Before", "After")
CONDITION = ', condition=pgtrigger.AnyChange("amount")'


def function(body: str = BODY) -> str:
    head = "CREATE OR REPLACE FUNCTION by_hand_lock() RETURNS trigger LANGUAGE plpgsql"
    return f"{head} AS $$ BEGIN {body} END $$"


def trigger(clauses: str, kind: str = "OR REPLACE TRIGGER") -> str:
    return f"CREATE {kind} by_hand {clauses} EXECUTE FUNCTION by_hand_lock()"


class Change(NamedTuple):
    """A change of a trigger.

    Args:
        before: the declaration that is installed before, if any.
        hand_before: the same by hand.
        action: what is done to ``after``.
        after: the declaration that is changed to.
        hand: the same by hand.
        disabled: whether it is disabled before.
    """

    before: str | None
    hand_before: list[str]
    action: str
    after: str
    hand: list[str]
    disabled: bool = False


INSTALLED = [function(), trigger(ON)]
SWITCH = f"ALTER TABLE {CHANGED} {{}} TRIGGER by_hand"
DROPPED = f"DROP TRIGGER by_hand ON {CHANGED}"
CHANGES = {
    "install, nothing differs": Change(declaration(), INSTALLED, "install", declaration(), []),
    "install, the function's body differs": Change(
        declaration(), INSTALLED, "install", declaration(OTHER_BODY), [function(OTHER_BODY)]
    ),
    "install, the condition differs": Change(
        declaration(),
        INSTALLED,
        "install",
        declaration(more=CONDITION),
        [trigger(f"{ON} {WHEN}")],
    ),
    "install, a new trigger": Change(None, [], "install", declaration(), INSTALLED),
    "install, the condition of a deferred trigger differs": Change(
        DEFERRED,
        [function(), trigger(AFTER, "CONSTRAINT TRIGGER")],
        "install",
        DEFERRED.replace(", timing", f"{CONDITION}, timing"),
        [DROPPED, trigger(f"{AFTER} {WHEN}", "CONSTRAINT TRIGGER")],
    ),
    "disable": Change(
        declaration(), INSTALLED, "disable", declaration(), [SWITCH.format("DISABLE")]
    ),
    "enable": Change(
        declaration(),
        INSTALLED,
        "enable",
        declaration(),
        [SWITCH.format("ENABLE")],
        disabled=True,
    ),
    "uninstall": Change(
        declaration(),
        INSTALLED,
        "uninstall",
        declaration(),
        [DROPPED, "DROP FUNCTION by_hand_lock"],
    ),
}
OTHER_FUNCTION = "CREATE FUNCTION by_hand_other() RETURNS trigger LANGUAGE plpgsql"
OTHER_BY_HAND = [
    f"{OTHER_FUNCTION} AS $$ BEGIN {BODY} END $$",
    f"CREATE TRIGGER by_hand {ON.replace(CHANGED, OTHER)} EXECUTE FUNCTION by_hand_other()",
]
