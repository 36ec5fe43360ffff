//! All sessions, by user and the client's own name: new, gone on with, taken over, forgotten.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use tokio::time::Instant;

use crate::hooks::Hooks;
use crate::limits::{
    SESSION_EXPIRY_SECONDS_MAX, SESSIONS_MAX, SESSIONS_OF_USER_MAX, SUBSCRIPTIONS_MAX,
    SUBSCRIPTIONS_OF_CLIENT_MAX, SUBSCRIPTIONS_OF_USER_MAX, seconds,
};
use crate::packet::Connect;
use crate::reason::{Reason, Refusal};
use crate::session::{Session, Subscription};
use crate::topic::Tree;

type Key = (String, String);

pub(crate) struct Sessions<H: Hooks> {
    book: Mutex<Book<H>>,
    pub tree: RwLock<Tree<Arc<Subscription<H>>>>,
}

struct Book<H: Hooks> {
    sessions: HashMap<Key, Arc<Session<H>>>,
    users: HashMap<String, Held>,
    last_number: u64,
}

/// What one user holds.
#[derive(Debug, Default)]
struct Held {
    sessions: usize,
    subscriptions: usize,
}

impl<H: Hooks> Default for Sessions<H> {
    fn default() -> Self {
        let book = Book { sessions: HashMap::new(), users: HashMap::new(), last_number: 0 };
        Self { book: Mutex::new(book), tree: RwLock::default() }
    }
}

/// A session in the hands of a connection.
pub(crate) struct Attached<H: Hooks> {
    pub session: Arc<Session<H>>,
    /// The connection's turn: where the session's is another, it has lost it.
    pub turn: u64,
    pub was_there: bool,
    pub expiry_s: u32,
}

impl<H: Hooks> Sessions<H> {
    /// Gives a connection its session. A connection that had it loses it.
    pub fn attach(
        &self,
        hooks: &H,
        client: H::Client,
        client_id: String,
        connect: &Connect,
    ) -> Result<Attached<H>, Refusal> {
        let user = hooks.user(&client).to_owned();
        let key = (user.clone(), client_id.clone());
        let expiry_s = connect.session_expiry_s.min(SESSION_EXPIRY_SECONDS_MAX);
        let mut book = self.book.lock();
        if let Some(known) = book.sessions.get(&key).cloned() {
            let turn = next_turn(&known);
            let mut state = known.state.lock();
            let goes_on = !connect.clean_start && hooks.same(&state.client, &client);
            if goes_on {
                state.client = Arc::new(client);
                state.expiry_s = expiry_s;
                state.connected();
                drop(state);
                return Ok(Attached { session: known, turn, was_there: true, expiry_s });
            }
            drop(state);
            self.drop_session(&mut book, &known);
        }
        let held = book.users.get(&user).map_or(0, |held| held.sessions);
        if book.sessions.len() >= SESSIONS_MAX || held >= SESSIONS_OF_USER_MAX {
            return Err(Refusal::for_now(Reason::QUOTA, "too many sessions: end some first"));
        }
        book.last_number += 1;
        let session = Session::new(book.last_number, Arc::new(client), user.clone(), client_id);
        let session = Arc::new(session);
        session.state.lock().expiry_s = expiry_s;
        let turn = next_turn(&session);
        book.sessions.insert(key, session.clone());
        book.users.entry(user).or_default().sessions += 1;
        Ok(Attached { session, turn, was_there: false, expiry_s })
    }

    /// The connection of this turn has ended: the session waits for its client, or goes.
    pub fn detach(&self, session: &Arc<Session<H>>, turn: u64) {
        let mut book = self.book.lock();
        if *session.turn.borrow() != turn {
            return;
        }
        let expiry_s = {
            let mut state = session.state.lock();
            state.is_connected = false;
            state.ends = Some(Instant::now() + seconds(u64::from(state.expiry_s)));
            state.expiry_s
        };
        if expiry_s == 0 {
            self.drop_session(&mut book, session);
        }
    }

    /// Forgets sessions whose client has stayed away too long.
    pub fn expire(&self, now: Instant) {
        let mut book = self.book.lock();
        let over =
            |session: &&Arc<Session<H>>| session.state.lock().ends.is_some_and(|ends| ends <= now);
        let over: Vec<Arc<Session<H>>> = book.sessions.values().filter(over).cloned().collect();
        for session in over {
            self.drop_session(&mut book, &session);
        }
    }

    fn drop_session(&self, book: &mut Book<H>, session: &Arc<Session<H>>) {
        let subscriptions = std::mem::take(&mut session.state.lock().subscriptions);
        {
            let mut tree = self.tree.write();
            for subscription in subscriptions.values() {
                tree.remove(&subscription.filter, |held| held.number == subscription.number);
            }
        }
        let key = (session.user.clone(), session.client_id.clone());
        book.sessions.remove(&key);
        if let Some(held) = book.users.get_mut(&session.user) {
            held.sessions = held.sessions.saturating_sub(1);
            held.subscriptions = held.subscriptions.saturating_sub(subscriptions.len());
            if held.sessions == 0 {
                book.users.remove(&session.user);
            }
        }
    }

    /// A number for a new subscription.
    pub fn number(&self) -> u64 {
        let mut book = self.book.lock();
        book.last_number += 1;
        book.last_number
    }

    /// Puts a subscription in the place of the one under the same filter. True: there was none.
    pub fn subscribe(
        &self,
        session: &Arc<Session<H>>,
        asked: &str,
        subscription: Subscription<H>,
    ) -> Result<(bool, Arc<Subscription<H>>), Refusal> {
        let mut book = self.book.lock();
        let key = (session.user.clone(), session.client_id.clone());
        if !book.sessions.get(&key).is_some_and(|known| Arc::ptr_eq(known, session)) {
            return Err(Refusal::for_now(Reason::TAKEN_OVER, "another connection has the session"));
        }
        let mut state = session.state.lock();
        let is_new = !state.subscriptions.contains_key(asked);
        let held = book.users.entry(session.user.clone()).or_default();
        let mut tree = self.tree.write();
        if is_new
            && (state.subscriptions.len() >= SUBSCRIPTIONS_OF_CLIENT_MAX
                || held.subscriptions >= SUBSCRIPTIONS_OF_USER_MAX
                || tree.len() >= SUBSCRIPTIONS_MAX)
        {
            let reason = format!(
                "a client has at most {SUBSCRIPTIONS_OF_CLIENT_MAX} subscriptions, a user \
                 {SUBSCRIPTIONS_OF_USER_MAX}: end some first"
            );
            return Err(Refusal::new(Reason::QUOTA, reason));
        }
        let subscription = Arc::new(subscription);
        tree.insert(&subscription.filter, subscription.clone());
        match state.subscriptions.insert(asked.to_owned(), subscription.clone()) {
            Some(old) => tree.remove(&old.filter, |held| held.number == old.number),
            None => held.subscriptions += 1,
        }
        Ok((is_new, subscription))
    }

    /// True: there was such a subscription.
    pub fn unsubscribe(&self, session: &Arc<Session<H>>, asked: &str) -> bool {
        let mut book = self.book.lock();
        let Some(old) = session.state.lock().subscriptions.remove(asked) else { return false };
        self.tree.write().remove(&old.filter, |held| held.number == old.number);
        if let Some(held) = book.users.get_mut(&session.user) {
            held.subscriptions = held.subscriptions.saturating_sub(1);
        }
        true
    }
}

fn next_turn<H: Hooks>(session: &Session<H>) -> u64 {
    session.turn.send_modify(|turn| *turn += 1);
    *session.turn.borrow()
}
