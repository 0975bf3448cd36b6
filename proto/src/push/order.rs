//! Which of many jobs is next, where a few connections share them.

use std::collections::{HashMap, VecDeque};

use super::JobId;

/// What a job is to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// An upload of what still grows: it ends when it ends, and holds up no other.
    Growing,
    /// An upload of what is there.
    Whole,
    /// An upload of what names others: it waits for what was there before it.
    Manifest,
    /// A removal: it waits for the manifests before it, which may not name its resource any more.
    Removal,
}

/// The jobs of one origin, in the order in which they came. A resource is never the subject of two
/// at once. At least one connection is kept for jobs that do not grow.
#[derive(Debug)]
pub struct Order {
    /// Most jobs at once.
    most: usize,
    /// Told apart by when they came, or by when they ceased to grow.
    next: u64,
    waiting: VecDeque<Entry>,
    /// How many wait for each resource, so that most look-ups need not look at each.
    paths: HashMap<String, usize>,
    running: HashMap<JobId, Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    id: JobId,
    path: String,
    class: Class,
    number: u64,
}

impl Order {
    /// For so many connections.
    pub fn new(most: usize) -> Self {
        let (waiting, paths, running) = (VecDeque::new(), HashMap::new(), HashMap::new());
        Self { most: most.max(1), next: 0, waiting, paths, running }
    }

    /// A job came, for the resource of this path. Behind those that are there for it.
    pub fn add(&mut self, id: JobId, path: &str, class: Class) {
        let number = self.count();
        *self.paths.entry(path.into()).or_default() += 1;
        self.waiting.push_back(Entry { id, path: path.into(), class, number });
    }

    /// The job for this resource that waits and was added first: it need not be done, if there is a
    /// newer one.
    pub fn take_waiting(&mut self, path: &str) -> Option<JobId> {
        self.paths.get(path)?;
        let before = self.waiting.iter().position(|entry| entry.path == path)?;
        self.take(before).map(|entry| entry.id)
    }

    /// The next job, which is to be begun now.
    pub fn begin_next(&mut self) -> Option<JobId> {
        if self.running.len() >= self.most {
            return None;
        }
        let at = (0..self.waiting.len()).find(|&at| self.may_begin(at))?;
        let entry = self.take(at)?;
        let id = entry.id;
        self.running.insert(id, entry);
        Some(id)
    }

    /// This one does not grow any more.
    pub fn settle(&mut self, id: JobId) {
        let number = self.count();
        let waiting = self.waiting.iter_mut().find(|entry| entry.id == id);
        if let Some(entry) = waiting.or_else(|| self.running.get_mut(&id))
            && entry.class == Class::Growing
        {
            *entry = Entry { class: Class::Whole, number, ..entry.clone() };
        }
    }

    /// This one is over, or not wanted any more.
    pub fn end(&mut self, id: JobId) {
        if self.running.remove(&id).is_none()
            && let Some(at) = self.waiting.iter().position(|entry| entry.id == id)
        {
            self.take(at);
        }
    }

    /// True if there is none left.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }

    /// Takes one out of those that wait.
    fn take(&mut self, at: usize) -> Option<Entry> {
        let entry = self.waiting.remove(at)?;
        if let Some(count) = self.paths.get_mut(&entry.path) {
            *count -= 1;
            if *count == 0 {
                self.paths.remove(&entry.path);
            }
        }
        Some(entry)
    }

    fn count(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn may_begin(&self, at: usize) -> bool {
        let entry = &self.waiting[at];
        let mut others = self.waiting.iter().chain(self.running.values());
        let before = |other: &Entry| other.number < entry.number;
        let same = |other: &Entry| other.path == entry.path;
        if self.running.values().chain(self.waiting.iter().take(at)).any(same) {
            return false;
        }
        match entry.class {
            Class::Growing => {
                let growing = |other: &&Entry| other.class == Class::Growing;
                self.running.values().filter(growing).count() < (self.most - 1).max(1)
            }
            Class::Whole => true,
            Class::Manifest => !others.any(|other| {
                before(other) && matches!(other.class, Class::Whole | Class::Manifest)
            }),
            Class::Removal => !others.any(|other| before(other) && other.class == Class::Manifest),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn begun(order: &mut Order) -> Vec<u32> {
        std::iter::from_fn(|| order.begin_next()).map(|id| id.0).collect()
    }

    #[test]
    fn a_manifest_waits_for_what_was_whole_before_it_and_not_for_what_grows() {
        let mut order = Order::new(4);
        order.add(JobId(0), "next.m4s", Class::Growing);
        order.add(JobId(1), "seg.m4s", Class::Whole);
        order.add(JobId(2), "a.mpd", Class::Manifest);
        order.add(JobId(3), "later.m4s", Class::Whole);
        assert_eq!(begun(&mut order), [0, 1, 3]);
        order.end(JobId(1));
        assert_eq!(begun(&mut order), [2]);
        order.add(JobId(4), "a.mpd", Class::Manifest);
        order.settle(JobId(0));
        order.add(JobId(5), "b.mpd", Class::Manifest);
        order.add(JobId(6), "old.m4s", Class::Removal);
        order.end(JobId(2));
        order.end(JobId(3));
        assert_eq!(begun(&mut order), [4], "the other was written when the segment was over");
        order.end(JobId(4));
        assert!(begun(&mut order).is_empty());
        order.end(JobId(0));
        assert_eq!(begun(&mut order), [5]);
        order.end(JobId(5));
        assert_eq!(begun(&mut order), [6]);
    }

    #[test]
    fn what_is_done_to_one_resource_is_done_in_order() {
        let mut order = Order::new(3);
        order.add(JobId(0), "a", Class::Whole);
        order.add(JobId(1), "a", Class::Removal);
        order.add(JobId(2), "a", Class::Whole);
        assert_eq!(begun(&mut order), [0]);
        order.end(JobId(0));
        assert_eq!(begun(&mut order), [1]);
        assert_eq!(order.take_waiting("a"), Some(JobId(2)));
        assert_eq!(order.take_waiting("a"), None, "the other one has begun");
        order.end(JobId(1));
        assert!(order.is_empty());
    }

    #[test]
    fn what_grows_leaves_a_connection_to_the_others() {
        let mut order = Order::new(3);
        for id in 0..4 {
            order.add(JobId(id), &id.to_string(), Class::Growing);
        }
        assert_eq!(begun(&mut order), [0, 1]);
        order.add(JobId(9), "a.mpd", Class::Manifest);
        assert_eq!(begun(&mut order), [9]);
        order.end(JobId(9));
        order.settle(JobId(0));
        assert_eq!(begun(&mut order), [2]);
    }

    fn class() -> impl Strategy<Value = Class> {
        prop_oneof![
            Just(Class::Growing),
            Just(Class::Whole),
            Just(Class::Manifest),
            Just(Class::Removal)
        ]
    }

    proptest! {
        #[test]
        fn every_job_is_begun_and_no_resource_is_in_two(
            most in 1..5_usize,
            jobs in prop::collection::vec((0..6_u8, class(), any::<prop::sample::Index>()), 0..60),
        ) {
            let mut order = Order::new(most);
            let mut running: Vec<(JobId, u8)> = Vec::new();
            let mut paths = HashMap::new();
            let mut open = 0_i64;
            for (id, (path, class, which)) in (0..).map(JobId).zip(jobs) {
                paths.insert(id, path);
                if which.index(5) == 0 && order.take_waiting(&path.to_string()).is_some() {
                    open -= 1;
                }
                order.add(id, &path.to_string(), class);
                open += 1;
                if which.index(3) == 0 && !running.is_empty() {
                    let (done, _) = running.swap_remove(which.index(running.len()));
                    order.end(done);
                    open -= 1;
                }
                while let Some(next) = order.begin_next() {
                    prop_assert!(running.iter().all(|(_, other)| *other != paths[&next]));
                    running.push((next, paths[&next]));
                }
                prop_assert!(running.len() <= most);
            }
            // Whatever is begun ends, and so all of it does.
            while let Some((done, _)) = running.pop() {
                order.end(done);
                open -= 1;
                running.extend(std::iter::from_fn(|| order.begin_next()).map(|id| (id, paths[&id])));
            }
            prop_assert!(order.is_empty());
            prop_assert_eq!(open, 0);
        }
    }
}
