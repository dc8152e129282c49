"""What a trigger does, in words. No database is asked."""

from pgtrigger.explanation.conditions import condition_words as condition_words
from pgtrigger.explanation.explaining import Explanation as Explanation
from pgtrigger.explanation.explaining import Firing as Firing
from pgtrigger.explanation.explaining import explain as explain
