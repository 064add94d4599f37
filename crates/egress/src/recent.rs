//! Which addresses a sandbox was given for which names: what a connection to a port of its own is judged by.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use lazaret_core::DomainName;

use crate::limits;

/// The latest answers to one sandbox, oldest first. Times are monotonic.
#[derive(Debug, Default)]
pub(crate) struct RecentAnswers {
    given: VecDeque<Given>,
}

#[derive(Debug)]
struct Given {
    address: IpAddr,
    name: DomainName,
    at: Duration,
}

impl RecentAnswers {
    /// Remembers that `address` was given for `name`; the oldest answer makes room.
    pub(crate) fn remember(&mut self, name: &DomainName, address: IpAddr, now: Duration) {
        self.given.retain(|given| !(given.address == address && given.name == *name) && given.lives(now));
        if self.given.len() == limits::RECENT_ADDRESSES {
            self.given.pop_front();
        }
        self.given.push_back(Given { address, name: name.clone(), at: now });
    }

    /// The names that `address` was given for, the latest first.
    pub(crate) fn names_of(&self, address: IpAddr, now: Duration) -> impl Iterator<Item = &DomainName> {
        let fits = move |given: &&Given| given.address == address && given.lives(now);
        self.given.iter().rev().filter(fits).map(|given| &given.name)
    }
}

impl Given {
    fn lives(&self, now: Duration) -> bool {
        now.saturating_sub(self.at) < limits::RECENT_FOR
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(recent: &RecentAnswers, address: &str, now_s: u64) -> Vec<String> {
        let now = Duration::from_secs(now_s);
        recent.names_of(address.parse().unwrap(), now).map(ToString::to_string).collect()
    }

    #[test]
    fn an_address_is_known_for_its_names_until_it_is_old() {
        let mut recent = RecentAnswers::default();
        let hour = limits::RECENT_FOR.as_secs();
        for (name, address, at_s) in
            [("a.example", "192.0.2.1", 0), ("b.example", "192.0.2.1", 10), ("a.example", "192.0.2.2", 10)]
        {
            recent.remember(&name.parse().unwrap(), address.parse().unwrap(), Duration::from_secs(at_s));
        }
        assert_eq!(names(&recent, "192.0.2.1", 20), ["b.example", "a.example"]);
        assert_eq!(names(&recent, "192.0.2.1", hour + 5), ["b.example"]);
        assert_eq!(names(&recent, "192.0.2.3", 20), [""; 0]);
    }

    #[test]
    fn answers_without_end_push_out_the_oldest_and_take_no_more_room() {
        let mut recent = RecentAnswers::default();
        let name = "a.example".parse().unwrap();
        let more = u32::try_from(limits::RECENT_ADDRESSES).unwrap() + 10;
        for number in 0..more {
            recent.remember(&name, IpAddr::V4(number.into()), Duration::ZERO);
        }
        assert_eq!(recent.given.len(), limits::RECENT_ADDRESSES);
        assert_eq!(names(&recent, "0.0.0.9", 1), [""; 0]);
        assert_eq!(names(&recent, "0.0.0.10", 1), ["a.example"]);
    }
}
