use super::*;

/// One Lease, kept as a server keeps it. The processes use a clock in milliseconds.
#[derive(Default)]
struct Server {
    lease: Option<LeaseView>,
    writes: u64,
}

impl Server {
    fn answer(&mut self, call: &LeaseCall) -> LeaseAnswer {
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
            queue_paused: write.queue_paused,
        };
        self.lease = Some(lease.clone());
        LeaseAnswer::Is(lease)
    }
}

fn ms(ms: u64) -> Mono {
    Mono::from_millis(ms)
}

/// Makes every call that is due at `at`.
fn make_due_calls(elector: &mut Elector, server: &mut Server, at: u64) {
    for _ in 0..5 {
        let Next::Call(call) = elector.next(ms(at)) else {
            return;
        };
        let answer = server.answer(&call);
        elector.answer(&call, ms(at), ms(at), answer);
    }
    panic!("it never stops calling");
}

fn elector(identity: &str) -> Elector {
    Elector::new(Settings::new(identity))
}

#[test]
fn it_creates_the_lease_and_renews_it_every_two_seconds() {
    let (mut a, mut server) = (elector("a"), Server::default());
    for at in (0..20_000).step_by(100) {
        make_due_calls(&mut a, &mut server, at);
        assert_eq!(a.leads(ms(at)), Some(1), "at {at}");
    }
    assert_eq!(server.writes, 10);
    assert_eq!(server.lease.unwrap().transitions, 0);
}

#[test]
fn another_process_takes_over_ten_seconds_after_the_last_change_that_it_saw() {
    let (mut a, mut b, mut server) = (elector("a"), elector("b"), Server::default());
    make_due_calls(&mut a, &mut server, 0);
    make_due_calls(&mut a, &mut server, 2_000);
    let mut taken = None;
    for at in (2_100..20_000).step_by(100) {
        make_due_calls(&mut b, &mut server, at);
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
fn a_term_ends_seven_seconds_after_the_last_renewal() {
    let (mut a, mut server) = (elector("a"), Server::default());
    make_due_calls(&mut a, &mut server, 0);
    for at in (100..30_000).step_by(100) {
        if let Next::Call(call) = a.next(ms(at)) {
            a.answer(&call, ms(at), ms(at), LeaseAnswer::Failed("no route".into()));
        }
        assert_eq!(a.leads(ms(at)).is_some(), at < 7_000, "at {at}");
    }
    make_due_calls(&mut a, &mut server, 31_000);
    assert_eq!(a.leads(ms(31_000)), Some(2), "a new term");
}

#[test]
fn a_renewal_whose_answer_was_lost_is_read_and_counts() {
    let (mut a, mut server) = (elector("a"), Server::default());
    make_due_calls(&mut a, &mut server, 0);
    let Next::Call(call) = a.next(ms(2_000)) else {
        panic!()
    };
    server.answer(&call);
    a.answer(
        &call,
        ms(2_000),
        ms(4_000),
        LeaseAnswer::Failed("timed out".into()),
    );
    make_due_calls(&mut a, &mut server, 4_000);
    assert_eq!(a.valid_until(), Some(ms(11_000)));
    assert_eq!(a.leads(ms(4_000)), Some(1));
}

#[test]
fn a_leader_that_reads_another_holder_stops_at_once() {
    let (mut a, mut server) = (elector("a"), Server::default());
    make_due_calls(&mut a, &mut server, 0);
    let (holder, stolen) = ("b".to_owned(), server.lease.clone().unwrap());
    server.lease = Some(LeaseView {
        holder,
        version: Version(99),
        ..stolen
    });
    make_due_calls(&mut a, &mut server, 2_000);
    assert_eq!(a.leads(ms(2_000)), None);
}

#[test]
fn a_released_lease_is_taken_at_the_next_call() {
    let (mut a, mut b, mut server) = (elector("a"), elector("b"), Server::default());
    make_due_calls(&mut a, &mut server, 0);
    make_due_calls(&mut b, &mut server, 500);
    let release = a.release(ms(1_000)).unwrap();
    assert_eq!(a.leads(ms(1_000)), None);
    server.answer(&release);
    make_due_calls(&mut b, &mut server, 2_500);
    assert_eq!(b.leads(ms(2_500)), Some(1));
}

#[test]
fn a_process_with_the_holders_identity_takes_over_at_once() {
    let mut server = Server::default();
    make_due_calls(&mut elector("a"), &mut server, 0);
    let mut again = elector("a");
    make_due_calls(&mut again, &mut server, 300);
    assert_eq!(again.leads(ms(300)), Some(1));
    assert_eq!(server.lease.unwrap().transitions, 1);
}

#[test]
fn the_successor_continues_both_counts_of_the_cluster_clock() {
    let (mut a, mut server) = (elector("a"), Server::default());
    make_due_calls(&mut a, &mut server, 0);
    a.advance(ms(0), false);
    make_due_calls(&mut a, &mut server, 2_000);
    a.advance(ms(3_000), true);
    make_due_calls(&mut a, &mut server, 4_000);
    let at_four = Reading {
        led_ms: 4_000,
        running_ms: 3_000,
    };
    assert_eq!(server.lease.clone().unwrap().clock, at_four);
    // The leader dies. Nobody leads for a minute, and that minute does not count.
    let mut b = elector("b");
    make_due_calls(&mut b, &mut server, 60_000);
    make_due_calls(&mut b, &mut server, 70_000);
    assert_eq!(b.leads(ms(70_000)), Some(1));
    b.advance(ms(70_000), false);
    assert_eq!(b.advance(ms(71_000), false).led_ms, 5_000);
    assert_eq!(b.advance(ms(71_000), false).running_ms, 4_000);
}

#[test]
fn time_in_which_a_frozen_process_could_not_prove_that_it_leads_does_not_count() {
    let (mut a, mut server) = (elector("a"), Server::default());
    make_due_calls(&mut a, &mut server, 0);
    a.advance(ms(0), false);
    assert_eq!(a.advance(ms(3_600_000), false).led_ms, 7_000);
    make_due_calls(&mut a, &mut server, 3_600_000);
    assert_eq!(a.leads(ms(3_600_000)), Some(2));
    assert_eq!(a.advance(ms(3_601_000), false).led_ms, 8_000);
}

#[test]
fn a_deleted_lease_is_created_again_with_the_known_clock() {
    let (mut a, mut server) = (elector("a"), Server::default());
    make_due_calls(&mut a, &mut server, 0);
    server.lease = None;
    make_due_calls(&mut a, &mut server, 2_000);
    assert_eq!(a.leads(ms(2_000)), Some(1));
    assert_eq!(server.lease.unwrap().clock.led_ms, 2_000);
}

/// The renewal begins in the old term and ends after it. In between the engine has stopped, and only a new term starts
/// another engine.
#[test]
fn a_renewal_that_is_answered_after_the_term_begins_a_new_term() {
    let (mut server, mut a) = (Server::default(), elector("a"));
    make_due_calls(&mut a, &mut server, 0);
    assert_eq!(a.leads(ms(6_999)), Some(1));
    let Next::Call(call) = a.next(ms(6_500)) else {
        panic!("a renewal is due")
    };
    let answer = server.answer(&call);
    assert_eq!(a.leads(ms(7_200)), None);
    let before = a.advance(ms(7_200), false);
    a.answer(&call, ms(6_500), ms(7_400), answer);
    assert_eq!(a.leads(ms(7_400)), Some(2));
    // No moment counts twice.
    let after = a.advance(ms(7_400), false);
    assert_eq!(after.led_ms - before.led_ms, 400);
}
