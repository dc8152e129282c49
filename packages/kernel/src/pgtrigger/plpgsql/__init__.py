"""What the text of a plpgsql function says, told without a server."""

from pgtrigger.plpgsql.parser import parse as parse
from pgtrigger.plpgsql.raising import Refusal as Refusal
from pgtrigger.plpgsql.raising import is_refusal as is_refusal
from pgtrigger.plpgsql.raising import refusals as refusals
from pgtrigger.plpgsql.tree import Function as Function
from pgtrigger.plpgsql.tree import Lexeme as Lexeme
from pgtrigger.plpgsql.tree import Statement as Statement
from pgtrigger.plpgsql.tree import Variable as Variable
from pgtrigger.plpgsql.tree import lexemes as lexemes
