"""Histories, as a project's developers make and change them: makemigrations, migrate, use."""

import json
import textwrap

import pytest

pytestmark = pytest.mark.slow

SHOP = """
    import pgtrigger_history


    class Tag(models.Model):
        name = models.TextField()


    @pgtrigger_history.track(m2m=["tags"])
    class Order(models.Model):
        status = models.CharField(max_length=20, default="draft")
        total = models.IntegerField(default=0)
        buyer = models.ForeignKey("auth.User", models.CASCADE, null=True)
        tags = models.ManyToManyField("Tag")


    @pgtrigger_history.track(fields=["username"], context="inline")
    class Account(User):
        class Meta:
            proxy = True
"""
USE = """
    import json
    import django
    django.setup()
    from app import models
    import pgtrigger_history

    with pgtrigger_history.context(user=5):
        order = models.Order.objects.create(total=1)
        order.tags.add(models.Tag.objects.create(name="t"))
        models.Order.objects.update(total=2)
        models.Account.objects.get_or_create(username="ada")
    found = [(e.pgh_label, e.total, e.pgh_context.user) for e in order.history.all()]
    links = [(e.pgh_label, e.tag.name) for e in models.OrderTagsEvent.objects.all()]
    accounts = [(e.username, e.pgh_context) for e in models.Account.history.all()]
    print(json.dumps([found, links, accounts]))
"""


@pytest.fixture
def shop(project):
    project.settings('INSTALLED_APPS += ["pgtrigger_history"]\n')
    declare(project, SHOP)
    return project


def declare(project, source):
    project.models(
        source.replace(
            "    import pgtrigger_history\n",
            "    from django.contrib.auth.models import User\n\n    import pgtrigger_history\n",
            1,
        )
    )


def use(project, code=USE):
    return json.loads(project.python("-c", textwrap.dedent(code)).stdout)


def test_a_history_is_declared_migrated_and_written(shop):
    shop.manage("makemigrations")
    shop.manage("makemigrations", "--check")
    shop.manage("check", "--fail-level", "WARNING")
    shop.manage("migrate")
    assert use(shop) == [
        [["insert", 1, "5"], ["update", 2, "5"]],
        [["add", "t"]],
        [["ada", {"user": 5}]],
    ]
    listed = shop.manage("pgtrigger", "check").stdout
    assert "app.Order:history_update" in shop.manage("pgtrigger", "ls").stdout, listed
    for line in shop.manage("pgtrigger", "ls").stdout.splitlines():
        assert line.startswith("INSTALLED   ENABLED"), line
    shop.manage("migrate", "app", "zero")
    shop.manage("migrate", "pgtrigger_history", "zero")
    assert shop.sql("SELECT 1 FROM pg_proc WHERE proname LIKE 'pgtrigger%'") == []


def test_fields_come_go_and_change_with_their_events(shop):
    shop.manage("makemigrations")
    shop.manage("migrate")
    use(shop)
    declare(
        shop,
        SHOP.replace("total = models.IntegerField(default=0)", "total = models.BigIntegerField(default=0)\n        note = models.TextField(default='n')")
        .replace('status = models.CharField(max_length=20, default="draft")', "active = models.BooleanField(default=True)"),
    )  # fmt: skip
    shop.manage("makemigrations")
    shop.manage("makemigrations", "--check")
    shop.manage("migrate")
    code = """
        import json
        import django
        django.setup()
        from app.models import Order

        Order.objects.update(note="m", total=7)
        print(json.dumps([*Order.history.order_by("pgh_id").values_list("total", "note", "active")]))
    """
    assert use(shop, code) == [[1, None, None], [2, None, None], [7, "m", True]]
    shop.manage("migrate", "app", "0001")
    declare(shop, SHOP)
    assert use(shop)[0][-1] == ["update", 2, "5"]


def test_a_history_comes_and_goes(shop):
    declare(shop, SHOP.replace('    @pgtrigger_history.track(m2m=["tags"])\n', ""))
    shop.manage("makemigrations")
    shop.manage("migrate")
    declare(shop, SHOP)
    shop.manage("makemigrations")
    shop.manage("migrate")
    assert use(shop)[0] == [["insert", 1, "5"], ["update", 2, "5"]]
    declare(shop, SHOP.replace('    @pgtrigger_history.track(m2m=["tags"])\n', ""))
    shop.manage("makemigrations")
    shop.manage("migrate")
    code = """
        import django
        django.setup()
        from app.models import Order

        Order.objects.create()
        Order.objects.update(total=4)
        print(1)
    """
    assert use(shop, code) == 1
    left = (
        "SELECT tgname FROM pg_trigger WHERE tgrelid::regclass::text LIKE %s AND NOT tgisinternal"
    )
    assert shop.sql(left, ["app_order%"]) == []


def test_a_project_without_the_table_of_contexts(project):
    declare(project, SHOP.replace('m2m=["tags"]', 'context="inline"'))
    project.manage("makemigrations")
    project.manage("migrate")
    code = """
        import json
        import django
        django.setup()
        from app.models import Order
        import pgtrigger_history

        with pgtrigger_history.context(user=5):
            Order.objects.create()
        print(json.dumps([event.pgh_context for event in Order.history.all()]))
    """
    assert use(project, code) == [{"user": 5}]


def test_forgetting_the_app_of_contexts_is_told(project):
    declare(project, SHOP)
    told = project.manage("check", exits=1).stderr
    assert "pgtrigger_history" in told
    assert "INSTALLED_APPS" in told
