use super::*;

/// One Lease, as a server would keep it, and processes that look at it on a clock of milliseconds.
#[derive(Default)]
struct Server {
    lease: Option<LeaseView>,
    writes: u64,
}

impl Server {
    fn carry(&mut self, call: &LeaseCall) -> LeaseAnswer {
        match (call, &self.lease) {
            (LeaseCall::Read, Some(lease)) => LeaseAnswer::Is(lease.clone()),
            (LeaseCall::Read, None) => LeaseAnswer::Absent,
            (LeaseCall::Create(_), Some(_)) => LeaseAnswer::Conflict,
            (LeaseCall::Create(write), None) => self.store(write),
            (LeaseCall::Replace(version, write), Some(lease)) if lease.version == *version => {
                let write = write.clone();
                self.store(&write)
            }
            (LeaseCall::Replace(..), _) => LeaseAnswer::Conflict,
        }
    }

    fn store(&mut self, write: &LeaseWrite) -> LeaseAnswer {
        self.writes += 1;
        let lease = LeaseView {
            holder: write.holder.clone(),
            transitions: write.transitions,
            renew: format!("write {}", self.writes),
            version: Version(self.writes),
            clock: write.clock,
        };
        self.lease = Some(lease.clone());
        LeaseAnswer::Is(lease)
    }
}

fn ms(ms: u64) -> Mono {
    Mono::from_millis(ms)
}

/// Makes every call that is due at `at`.
fn turn(elector: &mut Elector, server: &mut Server, at: u64) {
    for _ in 0..5 {
        let Next::Call(call) = elector.next(ms(at)) else {
            return;
        };
        let answer = server.carry(&call);
        elector.answer(&call, ms(at), ms(at), answer);
    }
    panic!("it calls without end");
}

fn elector(identity: &str) -> Elector {
    Elector::new(Settings::new(identity))
}

#[test]
fn it_makes_the_lease_and_renews_it_every_two_seconds() {
    let (mut a, mut server) = (elector("a"), Server::default());
    for at in (0..20_000).step_by(100) {
        turn(&mut a, &mut server, at);
        assert_eq!(a.leads(ms(at)), Some(1), "at {at}");
    }
    assert_eq!(server.writes, 10);
    assert_eq!(server.lease.unwrap().transitions, 0);
}

#[test]
fn another_takes_over_ten_seconds_after_the_last_change_that_it_saw() {
    let (mut a, mut b, mut server) = (elector("a"), elector("b"), Server::default());
    turn(&mut a, &mut server, 0);
    turn(&mut a, &mut server, 2_000);
    let mut taken = None;
    for at in (2_100..20_000).step_by(100) {
        turn(&mut b, &mut server, at);
        assert!(
            a.leads(ms(at)).is_none() || b.leads(ms(at)).is_none(),
            "two lead at {at}"
        );
        taken = taken.or(b.leads(ms(at)).map(|_| at));
    }
    assert_eq!(taken, Some(12_100));
    assert_eq!(server.lease.unwrap().transitions, 1);
}

#[test]
fn seven_seconds_without_a_renewal_end_it() {
    let (mut a, mut server) = (elector("a"), Server::default());
    turn(&mut a, &mut server, 0);
    for at in (100..30_000).step_by(100) {
        if let Next::Call(call) = a.next(ms(at)) {
            a.answer(&call, ms(at), ms(at), LeaseAnswer::Failed("no route".into()));
        }
        assert_eq!(a.leads(ms(at)).is_some(), at < 7_000, "at {at}");
    }
    turn(&mut a, &mut server, 31_000);
    assert_eq!(a.leads(ms(31_000)), Some(2), "a new term");
}

#[test]
fn a_renewal_whose_answer_was_lost_is_read_and_goes_on() {
    let (mut a, mut server) = (elector("a"), Server::default());
    turn(&mut a, &mut server, 0);
    let Next::Call(call) = a.next(ms(2_000)) else {
        panic!()
    };
    server.carry(&call);
    a.answer(
        &call,
        ms(2_000),
        ms(4_000),
        LeaseAnswer::Failed("timed out".into()),
    );
    turn(&mut a, &mut server, 4_000);
    assert_eq!(a.valid_until(), Some(ms(11_000)));
    assert_eq!(a.leads(ms(4_000)), Some(1));
}

#[test]
fn who_reads_that_another_holds_it_stops_at_once() {
    let (mut a, mut server) = (elector("a"), Server::default());
    turn(&mut a, &mut server, 0);
    let (holder, stolen) = ("b".to_owned(), server.lease.clone().unwrap());
    server.lease = Some(LeaseView {
        holder,
        version: Version(99),
        ..stolen
    });
    turn(&mut a, &mut server, 2_000);
    assert_eq!(a.leads(ms(2_000)), None);
}

#[test]
fn a_released_lease_is_taken_at_the_next_look() {
    let (mut a, mut b, mut server) = (elector("a"), elector("b"), Server::default());
    turn(&mut a, &mut server, 0);
    turn(&mut b, &mut server, 500);
    let release = a.release(ms(1_000)).unwrap();
    assert_eq!(a.leads(ms(1_000)), None);
    server.carry(&release);
    turn(&mut b, &mut server, 2_500);
    assert_eq!(b.leads(ms(2_500)), Some(1));
}

#[test]
fn the_same_name_takes_over_at_once() {
    let mut server = Server::default();
    turn(&mut elector("a"), &mut server, 0);
    let mut again = elector("a");
    turn(&mut again, &mut server, 300);
    assert_eq!(again.leads(ms(300)), Some(1));
    assert_eq!(server.lease.unwrap().transitions, 1);
}

#[test]
fn the_cluster_clock_counts_led_and_running_and_goes_over_to_the_successor() {
    let (mut a, mut server) = (elector("a"), Server::default());
    turn(&mut a, &mut server, 0);
    a.advance(ms(0), false);
    turn(&mut a, &mut server, 2_000);
    a.advance(ms(3_000), true);
    turn(&mut a, &mut server, 4_000);
    let at_four = Reading {
        led_ms: 4_000,
        running_ms: 3_000,
    };
    assert_eq!(server.lease.clone().unwrap().clock, at_four);
    // It dies; nobody leads for a minute, and no time passes.
    let mut b = elector("b");
    turn(&mut b, &mut server, 60_000);
    turn(&mut b, &mut server, 70_000);
    assert_eq!(b.leads(ms(70_000)), Some(1));
    b.advance(ms(70_000), false);
    assert_eq!(b.advance(ms(71_000), false).led_ms, 5_000);
    assert_eq!(b.advance(ms(71_000), false).running_ms, 4_000);
}

#[test]
fn a_frozen_process_counts_no_time_in_which_it_could_not_prove_that_it_leads() {
    let (mut a, mut server) = (elector("a"), Server::default());
    turn(&mut a, &mut server, 0);
    a.advance(ms(0), false);
    assert_eq!(a.advance(ms(3_600_000), false).led_ms, 7_000);
    turn(&mut a, &mut server, 3_600_000);
    assert_eq!(a.leads(ms(3_600_000)), Some(2));
    assert_eq!(a.advance(ms(3_601_000), false).led_ms, 8_000);
}

#[test]
fn a_lease_that_is_deleted_is_made_again_with_the_clock_that_is_known() {
    let (mut a, mut server) = (elector("a"), Server::default());
    turn(&mut a, &mut server, 0);
    server.lease = None;
    turn(&mut a, &mut server, 2_000);
    assert_eq!(a.leads(ms(2_000)), Some(1));
    assert_eq!(server.lease.unwrap().clock.led_ms, 2_000);
}

/// It began while the old one held and ended after it: in between the engine stopped, and only another term starts one.
#[test]
fn a_renewal_that_spans_the_expiry_begins_another_term() {
    let (mut server, mut a) = (Server::default(), elector("a"));
    turn(&mut a, &mut server, 0);
    assert_eq!(a.leads(ms(6_999)), Some(1));
    let Next::Call(call) = a.next(ms(6_500)) else {
        panic!("a renewal is due")
    };
    let answer = server.carry(&call);
    assert_eq!(a.leads(ms(7_200)), None);
    let before = a.advance(ms(7_200), false);
    a.answer(&call, ms(6_500), ms(7_400), answer);
    assert_eq!(a.leads(ms(7_400)), Some(2));
    // And no moment counts twice.
    let after = a.advance(ms(7_400), false);
    assert_eq!(after.led_ms - before.led_ms, 400);
}
