"""pgtrigger.management.jobs: the same work in many places."""

import threading
from contextvars import ContextVar

import pytest
from django.db import DatabaseError

from pgtrigger.errors import InstallationError
from pgtrigger.management.jobs import work_in

setting = ContextVar("setting", default="")


@pytest.mark.parametrize("jobs", [1, 2, 9])
def test_each_place_gives_a_result_or_an_error(jobs):
    def work(place):
        if place == 3:
            raise InstallationError("three")
        if place == 4:
            raise DatabaseError("four")
        return place * 10

    outcomes = {one.place: one for one in work_in(range(6), work, jobs=jobs)}
    assert [outcomes[n].result for n in range(6)] == [0, 10, 20, None, None, 50]
    assert [str(outcomes[n].error) for n in (3, 4)] == ["three", "four"]


@pytest.mark.parametrize("jobs", [1, 3])
def test_another_error_ends_the_work(jobs):
    done = []

    def work(place):
        done.append(place)
        raise ZeroDivisionError(place)

    with pytest.raises(ZeroDivisionError):
        list(work_in(range(100), work, jobs=jobs))
    assert len(done) <= jobs


def test_jobs_see_the_context_of_the_caller():
    setting.set("here")
    outcomes = work_in(range(4), lambda place: (setting.get(), threading.get_ident()), jobs=2)
    results = [one.result for one in outcomes]
    assert {result[0] for result in results} == {"here"}
    assert threading.get_ident() not in {result[1] for result in results}


def test_who_stops_listening_stops_the_work():
    done, go_on = [], threading.Event()

    def work(place):
        done.append(place)
        if place:
            go_on.wait(20)

    outcomes = work_in(range(100), work, jobs=2)
    assert next(outcomes).place == 0
    threading.Timer(0.2, go_on.set).start()
    # What has begun is waited for, and nothing else begins.
    outcomes.close()
    assert len(done) <= 3
