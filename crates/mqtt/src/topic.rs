//! Topics and filters (OASIS MQTT 5.0, 4.7): what is one, which filter a topic meets, and the tree
//! in which filters are found by topic.

use std::collections::HashMap;

use crate::limits::{TOPIC_BYTES_MAX, TOPIC_LEVELS_MAX};

const SHARE: &str = "$share/";

/// What is wrong with a topic's name, if anything is.
pub fn name_fault(topic: &str) -> Option<&'static str> {
    match topic.contains(['+', '#']) {
        true => Some("a topic that is published to holds no + and no #"),
        false => fault(topic),
    }
}

/// What is wrong with a filter, if anything is.
pub fn filter_fault(filter: &str) -> Option<&'static str> {
    if let Some(rest) = filter.strip_prefix(SHARE) {
        return match rest.split_once('/') {
            Some((group, _)) if group.is_empty() || group.contains(['+', '#']) => {
                Some("a group has a name without + and #")
            }
            Some((_, below)) => plain_filter_fault(below),
            None => Some("a shared filter is $share/group/filter"),
        };
    }
    plain_filter_fault(filter)
}

fn plain_filter_fault(filter: &str) -> Option<&'static str> {
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        let wild = level.contains(['+', '#']);
        if wild && level.len() > 1 {
            return Some("+ and # stand alone between slashes");
        }
        if level == "#" && levels.peek().is_some() {
            return Some("# stands at the end");
        }
    }
    fault(filter)
}

fn fault(topic: &str) -> Option<&'static str> {
    if topic.is_empty() {
        return Some("a topic has at least one character");
    }
    if topic.len() > TOPIC_BYTES_MAX {
        return Some("the topic is longer than 1,024 bytes");
    }
    if topic.split('/').count() > TOPIC_LEVELS_MAX {
        return Some("the topic has more than 16 levels");
    }
    if topic.contains('\0') {
        return Some("a topic does not hold U+0000");
    }
    None
}

/// The group of a shared filter and the filter in it.
pub(crate) fn shared(filter: &str) -> (Option<&str>, &str) {
    match filter.strip_prefix(SHARE).and_then(|rest| rest.split_once('/')) {
        Some((group, below)) => (Some(group), below),
        None => (None, filter),
    }
}

/// Values under filters.
#[derive(Debug)]
pub(crate) struct Tree<T> {
    root: Node<T>,
    held: usize,
}

#[derive(Debug)]
struct Node<T> {
    below: HashMap<String, Node<T>>,
    here: Vec<T>,
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self { below: HashMap::new(), here: Vec::new() }
    }
}

impl<T> Default for Tree<T> {
    fn default() -> Self {
        Self { root: Node::default(), held: 0 }
    }
}

impl<T: Clone> Tree<T> {
    pub fn len(&self) -> usize {
        self.held
    }

    pub fn insert(&mut self, filter: &str, value: T) {
        let mut node = &mut self.root;
        for level in filter.split('/') {
            node = node.below.entry(level.to_owned()).or_default();
        }
        node.here.push(value);
        self.held += 1;
    }

    /// Takes away the values under a filter that are `it`.
    pub fn remove(&mut self, filter: &str, it: impl Fn(&T) -> bool) {
        let levels: Vec<&str> = filter.split('/').collect();
        self.held -= remove(&mut self.root, &levels, &it);
    }

    /// Adds all values whose filter the topic meets.
    pub fn meet(&self, topic: &str, found: &mut Vec<T>) {
        let levels: Vec<&str> = topic.split('/').take(TOPIC_LEVELS_MAX).collect();
        // Topics that begin with $ are not met by a filter that begins with a wildcard.
        let hidden = topic.starts_with('$');
        let mut nodes = vec![(&self.root, 0)];
        while let Some((node, depth)) = nodes.pop() {
            let wild = !(hidden && depth == 0);
            if wild && let Some(all) = node.below.get("#") {
                found.extend(all.here.iter().cloned());
            }
            let Some(level) = levels.get(depth) else {
                found.extend(node.here.iter().cloned());
                continue;
            };
            if let Some(next) = node.below.get(*level) {
                nodes.push((next, depth + 1));
            }
            if wild && let Some(next) = node.below.get("+") {
                nodes.push((next, depth + 1));
            }
        }
    }
}

/// How many went. Nodes that are empty then go too.
fn remove<T>(node: &mut Node<T>, levels: &[&str], it: &impl Fn(&T) -> bool) -> usize {
    let Some((first, rest)) = levels.split_first() else {
        let before = node.here.len();
        node.here.retain(|value| !it(value));
        return before - node.here.len();
    };
    let Some(below) = node.below.get_mut(*first) else { return 0 };
    let gone = remove(below, rest, it);
    if below.here.is_empty() && below.below.is_empty() {
        node.below.remove(*first);
    }
    gone
}

#[cfg(test)]
mod tests {
    use super::*;

    fn met(filter: &str, topic: &str) -> bool {
        let mut tree = Tree::default();
        tree.insert(filter, 1);
        let mut found = Vec::new();
        tree.meet(topic, &mut found);
        assert!(found.len() <= 1, "{filter} is met once by {topic}");
        !found.is_empty()
    }

    #[test]
    fn a_topic_meets_the_filters_of_the_standard() {
        // The examples of OASIS MQTT 5.0, 4.7.1 and 4.7.2.
        for (filter, topic) in [
            ("sport/tennis/player1/#", "sport/tennis/player1"),
            ("sport/tennis/player1/#", "sport/tennis/player1/ranking"),
            ("sport/#", "sport"),
            ("#", "sport/tennis"),
            ("sport/tennis/+", "sport/tennis/player1"),
            ("sport/+", "sport/"),
            ("+/+", "/finance"),
            ("/+", "/finance"),
            ("$SYS/#", "$SYS/monitor"),
        ] {
            assert!(met(filter, topic), "{filter} {topic}");
        }
        for (filter, topic) in [
            ("sport/tennis/+", "sport/tennis/player1/ranking"),
            ("sport/+", "sport"),
            ("+", "/finance"),
            ("#", "$SYS/monitor"),
            ("+/monitor", "$SYS/monitor"),
            ("a/b", "a/B"),
        ] {
            assert!(!met(filter, topic), "{filter} {topic}");
        }
    }

    #[test]
    fn filters_that_are_none_are_told_so() {
        for good in ["#", "+", "a/+/b/#", "$share/g/a/#", "/", "a//b"] {
            assert_eq!(filter_fault(good), None, "{good}");
        }
        let (deep, long) = ("a/".repeat(TOPIC_LEVELS_MAX), "a".repeat(TOPIC_BYTES_MAX + 1));
        for bad in [
            "",
            "a#",
            "#/a",
            "a/b+",
            "$share/g",
            "$share//a",
            "$share/+/a",
            "$share/g/",
            &deep,
            &long,
        ] {
            assert!(filter_fault(bad).is_some(), "{bad}");
        }
        assert!(name_fault("a/+").is_some() && name_fault("a/b").is_none());
        assert_eq!(shared("$share/g/a/b"), (Some("g"), "a/b"));
        assert_eq!(shared("a/b"), (None, "a/b"));
    }

    #[test]
    fn what_is_taken_away_leaves_nothing_behind() {
        let mut tree = Tree::default();
        for value in 0..3 {
            tree.insert("a/+/c", value);
        }
        tree.remove("a/+/c", |value| *value == 1);
        let mut found = Vec::new();
        tree.meet("a/b/c", &mut found);
        assert_eq!((found, tree.len()), (vec![0, 2], 2));
        tree.remove("a/+/c", |_| true);
        tree.remove("a/b", |_| true);
        assert!(tree.len() == 0 && tree.root.below.is_empty());
    }
}
