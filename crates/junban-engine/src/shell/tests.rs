use junban_core::effect::{
    Announcement, NewEntry, NodePatch, PodLeave, PowerOrder, QueueWrite, Read, RecordWrite,
};
use junban_core::ids::{EntryName, EntryUid, PolicyName, Version};
use junban_core::policy::{PolicySummary, Step};

use super::*;
use crate::elector::{LeaseView, Settings};
use crate::ports::{EntryPort, EvictPort, LedgerPort, NodePort, NotifyPort, PowerPort, ReadPort};
use crate::step::RequestId;

/// A server that never answers, and a command that takes as long as the test says.
struct Unreachable {
    begun: Notify,
    command: Duration,
}

fn no_answer() -> WriteOutcome {
    WriteOutcome::Unknown("no answer".into())
}

impl LedgerPort for Unreachable {
    async fn write_queue(&self, _: QueueWrite) -> WriteOutcome {
        no_answer()
    }
}

impl NodePort for Unreachable {
    async fn patch_node(&self, _: NodePatch) -> WriteOutcome {
        no_answer()
    }
}

impl EntryPort for Unreachable {
    async fn create_entry(&self, _: NewEntry) -> WriteOutcome {
        no_answer()
    }
    async fn write_record(&self, _: RecordWrite) -> WriteOutcome {
        no_answer()
    }
    async fn delete_entry(&self, _: EntryName, _: EntryUid, _: Version) -> WriteOutcome {
        no_answer()
    }
    async fn write_policy_summary(&self, _: PolicyName, _: Version, _: PolicySummary) -> WriteOutcome {
        no_answer()
    }
}

impl EvictPort for Unreachable {
    async fn evict(&self, _: PodLeave) -> EvictOutcome {
        EvictOutcome::Unknown("no answer".into())
    }
    async fn delete_pod(&self, _: PodLeave) -> EvictOutcome {
        EvictOutcome::Unknown("no answer".into())
    }
}

impl ReadPort for Unreachable {
    async fn read(&self, _: Read) -> Evidence {
        Evidence::Failed("no answer".into())
    }
}

impl NotifyPort for Unreachable {
    async fn announce(&self, _: Announcement) {}
}

impl PowerPort for Unreachable {
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

/// An elector that leads in its first term.
fn leading() -> Elector {
    let mut elector = Elector::new(Settings::new("a"));
    let now = boottime();
    let Next::Call(read) = elector.next(now) else {
        panic!("it reads first")
    };
    elector.answer(&read, now, now, LeaseAnswer::Absent);
    let Next::Call(LeaseCall::Create(write)) = elector.next(now) else {
        panic!("it creates the Lease")
    };
    let lease = LeaseView {
        holder: write.holder.clone(),
        transitions: 0,
        renew: "1".into(),
        version: Version(1),
        clock: write.clock,
        queue_paused: write.queue_paused,
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
        step: Step::Command {
            command: vec!["reboot".into()],
        },
        boot_timeout: Duration::from_secs(20),
        not_after: boottime() + Duration::from_secs(4),
        beside: Vec::new(),
    })
}

async fn executor_with_running_command(command: Duration) -> Executor<Unreachable> {
    let executor = Executor {
        ports: Arc::new(Unreachable {
            begun: Notify::new(),
            command,
        }),
        elector: Arc::new(Mutex::new(leading())),
        on_write: Arc::new(|_| ()),
        writes: Arc::default(),
        power_actions: watch::Sender::default(),
    };
    let request = Request {
        id: RequestId(1),
        effect: power(),
    };
    // The engine that would receive the answer is gone: its receiver is dropped here.
    executor.start(request, 1, mpsc::unbounded_channel().0);
    executor.ports.begun.notified().await;
    executor
}

/// A command like `off; sleep; on` leaves the server off if its container ends in the middle. The engine that sent it
/// ended with the Lease, so only the executor knows that it runs.
#[tokio::test]
async fn a_running_command_is_waited_for_even_after_the_lease_was_lost() {
    let began = boottime();
    let executor = executor_with_running_command(Duration::from_millis(300)).await;
    locked(&executor.elector).release(boottime());
    executor
        .wait_for_power_actions(began + Duration::from_secs(60))
        .await;
    let took = boottime().since(began);
    assert!((300..10_000).contains(&took.as_millis()), "{took:?}");
    // If no power action is running, there is no wait.
    executor
        .wait_for_power_actions(boottime() + Duration::from_secs(60))
        .await;
    assert!(boottime().since(began) < Duration::from_secs(10));
}

#[tokio::test]
async fn a_command_that_does_not_end_is_waited_for_until_the_process_must_end() {
    let executor = executor_with_running_command(Duration::from_secs(60)).await;
    let began = boottime();
    executor
        .wait_for_power_actions(began + Duration::from_millis(200))
        .await;
    let took = boottime().since(began);
    assert!((200..10_000).contains(&took.as_millis()), "{took:?}");
}

struct Panics;

impl LeasePort for Panics {
    async fn call(&self, _: LeaseCall) -> LeaseAnswer {
        panic!("a bug")
    }
}

/// Else it would never lead again and still report that it is healthy.
#[tokio::test]
async fn a_process_whose_renewals_have_ended_ends() {
    let parts = Parts {
        ports: Arc::new(Unreachable {
            begun: Notify::new(),
            command: Duration::ZERO,
        }),
        lease: Panics,
        cluster: Arc::default(),
        changed: Arc::default(),
        wall: Arc::default(),
        elector: Arc::new(Mutex::new(Elector::new(Settings::new("a")))),
        report: Arc::default(),
        on_write: Arc::new(|_| ()),
        nonce: Box::new(String::new),
    };
    let ended = tokio::time::timeout(Duration::from_secs(10), run(parts, std::future::pending::<()>()));
    assert!(matches!(ended.await, Ok(Err(error)) if error.is_panic()));
}
