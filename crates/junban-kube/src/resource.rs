//! Junban's own kinds, as the API server names them.

use junban_api::names;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, Client};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Queue,
    Policy,
    Entry,
}

impl Kind {
    fn names(self) -> (&'static str, &'static str) {
        let index = match self {
            Self::Queue => 0,
            Self::Policy => 1,
            Self::Entry => 2,
        };
        let (kind, plural, _) = names::KINDS[index];
        (kind, plural)
    }

    /// `KIND/NAME`: the key under which core's cluster keeps an object that cannot be read.
    pub fn key(self, name: &str) -> String {
        format!("{}/{name}", self.names().0)
    }

    pub fn as_str(self) -> &'static str {
        self.names().0
    }

    /// Untyped on purpose: one object that cannot be read must not hide the others.
    pub fn api(self, client: &Client) -> Api<DynamicObject> {
        Api::all_with(client.clone(), &self.resource())
    }

    pub fn resource(self) -> ApiResource {
        let (kind, plural) = self.names();
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(names::GROUP, names::VERSION, kind), plural)
    }
}
