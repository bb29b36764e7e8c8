from lq.simulation.clock import Clock


def test_actions_happen_in_order_of_time_then_of_entry():
    clock, seen = Clock(10.0), []
    clock.after(2.0, lambda: seen.append((clock.now, "b")))
    clock.after(1.0, lambda: seen.append((clock.now, "a")))
    clock.after(2.0, lambda: seen.append((clock.now, "c")))
    clock.at(5.0, lambda: seen.append((clock.now, "late")))
    assert clock.next == 10.0
    clock.run(12.0)
    assert seen == [(10.0, "late"), (11.0, "a"), (12.0, "b"), (12.0, "c")]
    assert clock.now == 12.0
    assert clock.next is None


def test_actions_may_enter_others_and_time_stops_where_it_was_told():
    clock, seen = Clock(), []

    def tick():
        seen.append(clock.now)
        clock.after(1.0, tick)

    clock.after(0.5, tick)
    clock.run(3.0)
    assert seen == [0.5, 1.5, 2.5]
    assert (clock.now, clock.next) == (3.0, 3.5)
