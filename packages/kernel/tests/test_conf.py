"""pgtrigger.conf: settings are read when they are used, and bad ones are named."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from pgtrigger import conf

DEFAULTS = {
    conf.migrations: True,
    conf.install_on_migrate: False,
    conf.prune_on_install: True,
    conf.schema: "public",
    conf.schema_editor: True,
    conf.model_meta: True,
    conf.lock_timeout: None,
}


@pytest.mark.parametrize(("read", "default"), DEFAULTS.items())
def test_without_a_setting_the_default_holds(read, default):
    assert read() == default


@pytest.mark.parametrize("read", DEFAULTS)
def test_a_setting_is_read_each_time(read, settings):
    name = f"PGTRIGGER_{read.__name__.upper()}"
    texts = {conf.schema: "elsewhere", conf.lock_timeout: "2s"}
    changed = texts.get(read, not DEFAULTS[read])
    setattr(settings, name, changed)
    assert read() == changed


@pytest.mark.parametrize("value", ["elsewhere", "", "-1", "2 weeks", "1;2", True, [1]])
def test_a_lock_timeout_that_postgres_would_not_take_is_refused(settings, value):
    settings.PGTRIGGER_LOCK_TIMEOUT = value
    with pytest.raises(ImproperlyConfigured, match="PGTRIGGER_LOCK_TIMEOUT.*is no duration"):
        conf.lock_timeout()


def test_a_lock_timeout_may_be_a_number_of_milliseconds(settings):
    settings.PGTRIGGER_LOCK_TIMEOUT = 0
    assert conf.lock_timeout() == "0"


def test_the_errcode_is_that_of_the_trigger_type_unless_it_is_set(settings):
    assert conf.errcode("23514") == "23514"
    settings.PGTRIGGER_ERRCODE = "P0001"
    assert conf.errcode("23514") == "P0001"


@pytest.mark.parametrize("code", ["2300", "230011", "p0001", "00000", 23001, "'; --"])
def test_an_errcode_that_is_no_error_code_is_refused(code, settings):
    settings.PGTRIGGER_ERRCODE = code
    with pytest.raises(ImproperlyConfigured, match="must be a SQLSTATE") as caught:
        conf.errcode("23001")
    assert repr(code) in str(caught.value)
