"""The compiled trigger: what migrations store and Postgres receives."""

from pgtrigger.compiler.compiled import CompiledTrigger as CompiledTrigger
from pgtrigger.compiler.compiled import drop_triggers_sql as drop_triggers_sql
from pgtrigger.compiler.compiled import function_name as function_name
from pgtrigger.compiler.compiled import state_sql as state_sql
from pgtrigger.compiler.part import EVERYTHING as EVERYTHING
from pgtrigger.compiler.part import IGNORE_SETTING as IGNORE_SETTING
from pgtrigger.compiler.part import Part as Part
from pgtrigger.compiler.part import is_postgres_id as is_postgres_id
from pgtrigger.compiler.part import postgres_id as postgres_id
from pgtrigger.compiler.upsert import Trigger as Trigger
from pgtrigger.compiler.upsert import UpsertTriggerSql as UpsertTriggerSql
