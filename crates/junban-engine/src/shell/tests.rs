use junban_core::effect::{
    Announcement, NewEntry, NodePatch, PodLeave, PowerOrder, QueueWrite, Read, RecordWrite,
};
use junban_core::ids::{EntryName, EntryUid, PolicyName, Version};
use junban_core::policy::{PolicySummary, Step as PolicyStep};

use super::*;
use crate::elector::{LeaseView, Settings};
use crate::ports::{EntryPort, EvictPort, LedgerPort, NodePort, NotifyPort, PowerPort, ReadPort};
use crate::step::RequestId;

/// A server off which nothing comes back, and a command that takes as long as it is told.
struct CutOff {
    begun: Notify,
    command: Duration,
}

fn lost() -> WriteOutcome {
    WriteOutcome::Unknown("cut off".into())
}

impl LedgerPort for CutOff {
    async fn write_queue(&self, _: QueueWrite) -> WriteOutcome {
        lost()
    }
}

impl NodePort for CutOff {
    async fn patch_node(&self, _: NodePatch) -> WriteOutcome {
        lost()
    }
}

impl EntryPort for CutOff {
    async fn create_entry(&self, _: NewEntry) -> WriteOutcome {
        lost()
    }
    async fn write_record(&self, _: RecordWrite) -> WriteOutcome {
        lost()
    }
    async fn delete_entry(&self, _: EntryName, _: EntryUid, _: Version) -> WriteOutcome {
        lost()
    }
    async fn write_policy_summary(&self, _: PolicyName, _: Version, _: PolicySummary) -> WriteOutcome {
        lost()
    }
}

impl EvictPort for CutOff {
    async fn evict(&self, _: PodLeave) -> EvictOutcome {
        EvictOutcome::Unknown("cut off".into())
    }
    async fn delete_pod(&self, _: PodLeave) -> EvictOutcome {
        EvictOutcome::Unknown("cut off".into())
    }
}

impl ReadPort for CutOff {
    async fn read(&self, _: Read) -> Evidence {
        Evidence::Failed("cut off".into())
    }
}

impl NotifyPort for CutOff {
    async fn announce(&self, _: Announcement) {}
}

impl PowerPort for CutOff {
    fn longest(&self) -> Duration {
        self.command
    }

    async fn power(&self, _: PowerOrder) -> PowerAnswer {
        self.begun.notify_one();
        tokio::time::sleep(self.command).await;
        PowerAnswer {
            outcome: PowerOutcome::Started,
            message: "exit 0".into(),
        }
    }
}

/// An elector that leads its first term.
fn leading() -> Elector {
    let mut elector = Elector::new(Settings::new("a"));
    let now = boottime();
    let Next::Call(read) = elector.next(now) else {
        panic!("it reads first")
    };
    elector.answer(&read, now, now, LeaseAnswer::Absent);
    let Next::Call(LeaseCall::Create(write)) = elector.next(now) else {
        panic!("it makes the Lease")
    };
    let lease = LeaseView {
        holder: write.holder.clone(),
        transitions: 0,
        renew: "1".into(),
        version: Version(1),
        clock: write.clock,
    };
    elector.answer(&LeaseCall::Create(write), now, now, LeaseAnswer::Is(lease));
    elector
}

fn power() -> Effect {
    Effect::Power(PowerOrder {
        node: "node-1".into(),
        node_uid: "u1".into(),
        entry: "node-1-abc".into(),
        entry_uid: "e1".into(),
        attempt: 1,
        boot_id: "b1".into(),
        system_uuid: "s1".into(),
        step: PolicyStep::Command {
            command: vec!["reboot".into()],
        },
        boot_timeout: Duration::from_secs(20),
        not_after: boottime() + Duration::from_secs(4),
    })
}

async fn is_acting(command: Duration) -> Carrier<CutOff> {
    let carrier = Carrier {
        ports: Arc::new(CutOff {
            begun: Notify::new(),
            command,
        }),
        elector: Arc::new(Mutex::new(leading())),
        on_write: Arc::new(|_| ()),
        writes: Arc::default(),
        powers: watch::Sender::default(),
    };
    let request = Request {
        id: RequestId(1),
        effect: power(),
    };
    // The engine that would hear of the answer is gone: its receiver is dropped here.
    carrier.carry(request, 1, mpsc::unbounded_channel().0);
    carrier.ports.begun.notified().await;
    carrier
}

/// `off; sleep; on`, cut off with its container, leaves the server off. The engine that sent it is gone with the
/// Lease, so nobody but the carrier knows that it runs.
#[tokio::test]
async fn a_command_is_seen_through_though_the_lease_lapsed() {
    let began = boottime();
    let carrier = is_acting(Duration::from_millis(300)).await;
    locked(&carrier.elector).release(boottime());
    carrier.powers_ended(began + Duration::from_secs(60)).await;
    let took = boottime().since(began);
    assert!((300..10_000).contains(&took.as_millis()), "{took:?}");
    // And where nothing is on its way, nothing is waited for.
    carrier.powers_ended(boottime() + Duration::from_secs(60)).await;
    assert!(boottime().since(began) < Duration::from_secs(10));
}

#[tokio::test]
async fn a_command_that_does_not_end_is_waited_for_until_the_process_must() {
    let carrier = is_acting(Duration::from_secs(60)).await;
    let began = boottime();
    carrier.powers_ended(began + Duration::from_millis(200)).await;
    let took = boottime().since(began);
    assert!((200..10_000).contains(&took.as_millis()), "{took:?}");
}

struct Breaks;

impl LeasePort for Breaks {
    async fn call(&self, _: LeaseCall) -> LeaseAnswer {
        panic!("a bug")
    }
}

/// It would stand by for ever, and say that it is well.
#[tokio::test]
async fn a_process_that_renews_no_more_ends() {
    let parts = Parts {
        ports: Arc::new(CutOff {
            begun: Notify::new(),
            command: Duration::ZERO,
        }),
        lease: Breaks,
        cluster: Arc::default(),
        changed: Arc::default(),
        wall: Arc::default(),
        elector: Arc::new(Mutex::new(Elector::new(Settings::new("a")))),
        on_write: Arc::new(|_| ()),
        nonce: Box::new(String::new),
    };
    let ended = tokio::time::timeout(Duration::from_secs(10), run(parts, std::future::pending::<()>()));
    assert!(matches!(ended.await, Ok(Err(error)) if error.is_panic()));
}
