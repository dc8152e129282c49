"""What a history cannot be given."""

import pgtrigger
import pgtrigger_history

pgtrigger_history.track(context="file")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
pgtrigger_history.track("insert")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
pgtrigger_history.UpdateEvent(row="all")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
pgtrigger_history.History(name="x", into=5, operation=pgtrigger.Insert)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
