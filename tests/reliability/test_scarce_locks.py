"""More triggers than a transaction may lock: none is installed, and the error says what to do."""

import pytest

from reliability.conftest import make_site
from replication.cluster import running

pytestmark = pytest.mark.slow

TRIGGERS = "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'pgtrigger_%'"
FUNCTIONS = "SELECT count(*) FROM pg_proc WHERE proname LIKE 'pgtrigger_%'"
MODELS = """
    class Many(models.Model):
        class Meta:
            triggers = [
                pgtrigger.Protect(name=f"{kind}_{number}", operation=pgtrigger.Delete)
                for kind in ("left", "right")
                for number in range(1000)
            ]

    class Few(models.Model):
        class Meta:
            triggers = [pgtrigger.Protect(name="keep", operation=pgtrigger.Delete)]
"""


def test_more_triggers_than_locks_are_refused_as_a_whole_and_installed_in_parts(tmp_path):
    with running(max_connections="5", max_locks_per_transaction="10") as server:
        site = make_site(tmp_path, server.url())
        site.models(MODELS)
        for table in ("app_many", "app_few"):
            server.sql(f"CREATE TABLE {table} (id bigserial PRIMARY KEY)")
        failed = site.manage("pgtrigger", "install", exits=1).stderr
        assert "InstallationError" in failed
        assert "Nothing was changed" in failed
        assert "max_locks_per_transaction" in failed
        assert server.value(TRIGGERS) == server.value(FUNCTIONS) == 0
        site.manage("pgtrigger", "install", "app.Few:*", "app.Many:left_1?")
        assert server.value(TRIGGERS) == server.value(FUNCTIONS) == 11
