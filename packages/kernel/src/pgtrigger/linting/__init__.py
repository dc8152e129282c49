"""What is wrong in the functions of triggers, told by plpgsql_check, the server and their text."""

from pgtrigger.linting.analysis import analyse as analyse
from pgtrigger.linting.extension import ABSENT as ABSENT
from pgtrigger.linting.extension import AVAILABLE as AVAILABLE
from pgtrigger.linting.extension import EXTENSION as EXTENSION
from pgtrigger.linting.finding import ERROR as ERROR
from pgtrigger.linting.finding import WARNING as WARNING
from pgtrigger.linting.finding import Finding as Finding
from pgtrigger.linting.finding import Subject as Subject
from pgtrigger.linting.finding import worst as worst
from pgtrigger.linting.report import Linted as Linted
from pgtrigger.linting.report import Report as Report
from pgtrigger.linting.report import lint as lint
