from penstock.io.rarely import _MAX_KINDS, Rarely


def test_once_per_period_and_kind_and_what_was_held_back_is_counted():
    now = [100.0]
    rarely = Rarely(every_s=60, clock=lambda: now[0])
    assert rarely.due()
    assert [rarely.due() for _ in range(3)] == [False] * 3
    assert rarely.due("another kind"), "a new kind is said at once"
    now[0] += 59.9
    assert not rarely.due()
    now[0] += 0.1
    assert rarely.held_back() == 4
    assert rarely.held_back() is None


def test_the_kinds_that_are_remembered_are_bounded():
    rarely = Rarely(clock=lambda: 0.0)
    for number in range(3 * _MAX_KINDS):
        assert rarely.due(number)
    assert len(rarely._kinds) == _MAX_KINDS
    assert not rarely.due(3 * _MAX_KINDS - 1)
