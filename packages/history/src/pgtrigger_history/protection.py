"""EventProtection keeps events as they are."""

from __future__ import annotations

from typing import Final

import pgtrigger
from pgtrigger.clauses import Operation, When
from pgtrigger.declaration import Model
from pgtrigger.functions import way_out

MAINTENANCE: Final = "pgtrigger.history_maintenance"
_MAINTENANCE: Final = f"""\
IF pg_catalog.current_setting('{MAINTENANCE}', true)
    OPERATOR(pg_catalog.=) 'on' THEN
    IF pg_catalog.pg_has_role(
        (SELECT own.relowner FROM pg_catalog.pg_class AS own
            WHERE own.oid OPERATOR(pg_catalog.=) TG_RELID), 'USAGE'
    ) THEN
        IF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
            RETURN OLD;
        END IF;
        RETURN NEW;
    END IF;
END IF;"""


class EventProtection(pgtrigger.Trigger):
    """Refuse to change, delete and truncate events. Nobody can ignore it.

    Maintenance, such as ``manage.py pgtrigger history prune``, says so by a setting, and must be
    the owner of the table, who could drop the trigger as well.

    Raises in the database:
        IntegrityError: ``Cannot <operation> rows from <table> table``.
    """

    when: When | None = pgtrigger.Before
    operation: Operation | None = pgtrigger.Update | pgtrigger.Delete | pgtrigger.Truncate
    ignorable: bool = False

    def render_func(self, model: Model) -> str:
        refusal = pgtrigger.raise_violation(
            "pgtrigger: Cannot %s rows from %s table",
            "pg_catalog.lower(TG_OP)",
            "TG_TABLE_NAME",
            hint=way_out(self.get_uri(model), ignorable=False),
            configurable=False,
        )
        return f"{_MAINTENANCE}\n{refusal}"
