"""pgtrigger_history.admin in a browser, as people use it; and the pictures of the documentation."""

import re
import shutil
from pathlib import Path

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.test.testcases import LiveServerThread

from ledger.models import Customer, Invoice, Tag
from pgtrigger_history import context

playwright = pytest.importorskip(
    "playwright.sync_api", reason="Playwright is not installed: uv pip install playwright"
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="there is no chromium: apt-get install chromium"),
]

SIZE = {"width": 1100, "height": 520}


@pytest.fixture
def site(transactional_db, settings, monkeypatch):
    """The URL of a server with the admin."""
    monkeypatch.setattr(admin.site, "enable_nav_sidebar", False)
    settings.ALLOWED_HOSTS = ["localhost"]
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "pgtrigger_history.HistoryMiddleware"]
    thread = LiveServerThread("localhost", StaticFilesHandler, connections_override={})
    thread.daemon = True
    thread.start()
    thread.is_ready.wait()
    assert thread.error is None
    yield f"http://localhost:{thread.port}"
    thread.terminate()


@pytest.fixture(scope="module")
def chromium():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--headless", "--disable-gpu"]
        )
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium, site, monkeypatch):
    """`open_page(**options)`: a page of a new visitor, which asks nobody but the server."""
    # Playwright's own event loop is not one that the ORM would block.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    visits = []
    asked, said = [], []

    def new(**options):
        visit = chromium.new_context(viewport=SIZE, **options)
        visits.append(visit)
        page = visit.new_page()
        page.set_default_timeout(20_000)
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append((message.text, message.location["url"])))
        page.on("pageerror", lambda error: said.append((str(error),)))
        return page

    yield new
    for visit in visits:
        visit.close()
    assert [url for url in asked if not url.startswith((site, "data:"))] == []
    assert [each for each in said if "favicon.ico" not in each[-1]] == []


@pytest.fixture
def picture(request):
    """`picture(page, name)`: writes a picture of it, with ``--screenshots DIRECTORY``."""
    folder = request.config.getoption("--screenshots", default=None)

    def write(page, name):
        if folder:
            path = Path(folder) / f"history-admin-{name}.png"
            page.screenshot(path=path)
            assert path.stat().st_size < 100_000

    return write


@pytest.fixture
def invoice(transactional_db, monkeypatch):
    """An invoice with some history."""
    monkeypatch.setattr(Customer, "__str__", lambda self: self.name)
    monkeypatch.setattr(Tag, "__str__", lambda self: self.name)
    monkeypatch.setattr(Invoice, "__str__", lambda self: f"INV-{self.pk}")
    clerk = User.objects.create(username="grace", first_name="Grace", last_name="Hopper")
    ada = Customer.objects.create(name="Ada Lovelace")
    with context(user=clerk.pk, url="/shop/orders/", method="POST"):
        invoice = Invoice.objects.create(customer=ada, total=120)
        invoice.tags.add(Tag.objects.create(name="express"))
    with context(user=clerk.pk, url=f"/shop/invoices/{invoice.pk}/", reason="discount"):
        invoice.total, invoice.note = 90, "25 % off"
        invoice.save()
    with context(job="nightly"):
        invoice.customer = Customer.objects.create(name="Ada King")
        invoice.save()
    return invoice


def log_in(page, site):
    User.objects.create_superuser("ada", password="secret")
    page.goto(f"{site}/admin/")
    page.fill("[name=username]", "ada")
    page.fill("[name=password]", "secret")
    page.click("[type=submit]")


def actions(page):
    return page.locator(".pgh-event .pgh-what").all_inner_texts()


@pytest.mark.parametrize("script", [True, False], ids=["with_javascript", "without_javascript"])
def test_see_filter_put_back_delete_and_restore(open_page, site, invoice, picture, script):
    page = open_page(java_script_enabled=script)
    log_in(page, site)
    page.goto(f"{site}/admin/ledger/invoice/{invoice.pk}/change/")
    page.click("text=History")
    assert actions(page) == ["changed", "changed", "added to tags", "added"]
    assert page.locator(".pgh-event").nth(1).locator("td").first.inner_text() == (
        "grace (Grace Hopper)"
    )
    before, after = page.locator(".pgh-event").nth(1).locator("del, ins").all()[:2]
    assert (before.inner_text(), after.inner_text()) == ("120", "90")
    picture(page, "timeline")

    # What is folded opens without a script.
    whole = page.locator(".pgh-event").nth(3)
    assert not whole.locator("ins").first.is_visible()
    whole.locator("summary").click()
    assert whole.locator("ins").first.is_visible()

    page.select_option("[name=field]", "note")
    page.click("text=Filter")
    assert actions(page) == ["changed", "added"]
    page.fill("[name=user]", "grace")
    page.select_option("[name=label]", "update")
    page.click("text=Filter")
    assert actions(page) == ["changed"]
    page.click("text=Show all")
    assert len(actions(page)) == 4

    page.locator(".pgh-revert a").last.click()
    assert page.locator("h1").nth(0).inner_text() == "Put back as it was?"
    before, after = page.locator("del, ins").all()[:2]
    assert before.inner_text().startswith("Ada King (")
    assert after.inner_text().startswith("Ada Lovelace (")
    picture(page, "revert")
    page.click("text=No, take me back")
    assert Invoice.objects.get().total == 90
    page.locator(".pgh-revert a").last.click()
    page.click("text=Yes, put it back")
    assert "was put back" in page.locator(".messagelist").inner_text()
    assert Invoice.objects.get().total == 120
    assert page.locator(".pgh-event").first.locator("td").first.inner_text() == "ada"
    assert "method POST" in page.locator(".pgh-event").first.locator(".pgh-context").inner_text()

    page.goto(f"{site}/admin/ledger/invoice/{invoice.pk}/delete/")
    page.click("[type=submit][value*=sure]")
    assert not Invoice.objects.exists()
    page.click("text=Deleted invoices")
    picture(page, "deleted")
    page.click(".pgh-revert a")
    page.click("text=Yes, restore it")
    assert re.search(r"was restored", page.locator(".messagelist").inner_text())
    restored = Invoice.objects.get()
    assert (restored.pk, restored.total) == (invoice.pk, 120)
    assert actions(page)[:2] == ["added", "deleted"]


def test_the_dark_theme_is_dark(open_page, site, invoice, picture):
    page = open_page(color_scheme="dark")
    log_in(page, site)
    page.goto(f"{site}/admin/ledger/invoice/{invoice.pk}/history/")
    colours = [
        sum(map(int, re.findall(r"\d+", found)[:3]))
        for found in page.locator(".pgh-changes del, .pgh-changes ins").evaluate_all(
            "all => all.flatMap(e => [getComputedStyle(e).backgroundColor, getComputedStyle(e).color])"
        )
    ]
    backgrounds, texts = colours[::2], colours[1::2]
    assert max(backgrounds) < 300
    assert min(texts) > 450
    picture(page, "dark")
