"""Identifiers, literals and tokens of SQL: the only place that quotes."""

from pgtrigger.sql.operators import EQUAL as EQUAL
from pgtrigger.sql.operators import catalog_query as catalog_query
from pgtrigger.sql.quoting import RESERVED as RESERVED
from pgtrigger.sql.quoting import array as array
from pgtrigger.sql.quoting import dollar_quote as dollar_quote
from pgtrigger.sql.quoting import identifier as identifier
from pgtrigger.sql.quoting import literal as literal
from pgtrigger.sql.quoting import quote as quote
from pgtrigger.sql.quoting import quote_relation as quote_relation
from pgtrigger.sql.quoting import relation as relation
from pgtrigger.sql.quoting import string as string
from pgtrigger.sql.tokens import Token as Token
from pgtrigger.sql.tokens import dedent as dedent
from pgtrigger.sql.tokens import indent as indent
from pgtrigger.sql.tokens import normalise as normalise
from pgtrigger.sql.tokens import rename_rows as rename_rows
from pgtrigger.sql.tokens import row_columns as row_columns
from pgtrigger.sql.tokens import rows_used as rows_used
from pgtrigger.sql.tokens import tokens as tokens
from pgtrigger.sql.tokens import words_used as words_used
