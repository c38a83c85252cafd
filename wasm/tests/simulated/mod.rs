//! An Envoy without Envoy: workers that share data, with faults and interleaving where told.

#![allow(dead_code, reason = "no test uses all of it")]

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use meseta_wasm::counters::Counter;
use meseta_wasm::host::{CounterId, Headers, Host, Level, Shared, Status};
use meseta_wasm::meter::{Exchange, Meter, Verdict};

/// When tests begin, in seconds since the unix epoch.
pub const START: u64 = 1_800_000_000;

/// SplitMix64, for what a seed decides.
#[derive(Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let value = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// Values by key, each with its number; and the last number that was given.
type Data = (HashMap<String, (Vec<u8>, u32)>, u32);

/// What all workers have in common.
#[derive(Default)]
pub struct Envoy {
    pub data: Mutex<Data>,
    pub nanos: AtomicU64,
    pub turns: Option<Turns>,
}

impl Envoy {
    pub fn new() -> Self {
        let envoy = Self::default();
        envoy.nanos.store(START * 1_000_000_000, Ordering::Relaxed);
        envoy
    }

    /// One whose workers take turns at each step.
    pub fn interleaved(workers: usize, seed: u64) -> Self {
        Self {
            turns: Some(Turns::new(workers, seed)),
            ..Self::new()
        }
    }

    pub fn advance(&self, by: Duration) {
        let nanos = u64::try_from(by.as_nanos()).unwrap();
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// The size of all shared values.
    pub fn size(&self) -> usize {
        let data = self.data.lock().unwrap();
        data.0.values().map(|(value, _)| value.len()).sum()
    }
}

/// Lets one of several threads go at a time; a seed decides which.
pub struct Turns {
    state: Mutex<(usize, Vec<bool>, Random)>,
    changed: Condvar,
}

impl Turns {
    fn new(workers: usize, seed: u64) -> Self {
        Self {
            state: Mutex::new((0, vec![true; workers], Random(seed))),
            changed: Condvar::new(),
        }
    }

    /// Hands the turn to anybody, and waits for the next one.
    fn pass(&self, me: usize) {
        let mut state = self.state.lock().unwrap();
        if state.0 == me {
            Self::choose(&mut state);
            self.changed.notify_all();
        }
        while state.0 != me {
            state = self.changed.wait(state).unwrap();
        }
    }

    fn leave(&self, me: usize) {
        let mut state = self.state.lock().unwrap();
        state.1[me] = false;
        Self::choose(&mut state);
        self.changed.notify_all();
    }

    fn choose(state: &mut (usize, Vec<bool>, Random)) {
        let there: Vec<usize> = (0..state.1.len()).filter(|one| state.1[*one]).collect();
        if !there.is_empty() {
            let place = state.2.below(there.len() as u64);
            state.0 = there[usize::try_from(place).unwrap()];
        }
    }
}

/// What fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Faults {
    Nothing,
    /// This call, always.
    Always(Call),
    /// Any call but those of counters, one in so many; also garbage comes where bytes are asked for.
    OneIn(u64),
    /// Any call at all, likewise.
    AnyOneIn(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Configuration,
    Now,
    Header,
    ReplaceHeader,
    SendLocalResponse,
    Read,
    Write,
    /// Somebody else is always faster.
    Swap,
    Property,
    DefineCounter,
    Increment,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub details: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// One worker of an Envoy, with the one exchange that it is at.
pub struct Worker<'e> {
    pub envoy: &'e Envoy,
    pub number: usize,
    pub configuration: RefCell<Vec<u8>>,
    pub request: RefCell<BTreeMap<String, Vec<u8>>>,
    pub response: RefCell<BTreeMap<String, String>>,
    pub properties: RefCell<BTreeMap<String, Vec<u8>>>,
    pub answers: RefCell<Vec<Answer>>,
    pub counts: RefCell<BTreeMap<&'static str, u64>>,
    pub lines: RefCell<Vec<(Level, String)>>,
    pub calls: Cell<usize>,
    pub faults: Cell<Faults>,
    pub random: RefCell<Random>,
}

impl<'e> Worker<'e> {
    pub fn new(envoy: &'e Envoy, number: usize) -> Self {
        Self {
            envoy,
            number,
            configuration: RefCell::default(),
            request: RefCell::default(),
            response: RefCell::default(),
            properties: RefCell::default(),
            answers: RefCell::default(),
            counts: RefCell::default(),
            lines: RefCell::default(),
            calls: Cell::new(0),
            faults: Cell::new(Faults::Nothing),
            random: RefCell::new(Random(number as u64)),
        }
    }

    /// A meter with these rules.
    pub fn meter(&self, rules: &str, fail: &str) -> Meter<&Self> {
        let text = format!(r#"{{"version":1,"rules":"{rules}","fail":"{fail}"}}"#);
        self.configured(&text).expect("the configuration is taken")
    }

    pub fn configured(&self, text: &str) -> Option<Meter<&Self>> {
        *self.configuration.borrow_mut() = text.as_bytes().to_vec();
        let mut meter = Meter::new(self);
        meter.configure(text.len()).then_some(meter)
    }

    /// The next exchange, with this order.
    pub fn order(&self, order: &str) {
        self.request.borrow_mut().clear();
        self.response.borrow_mut().clear();
        self.properties.borrow_mut().clear();
        if !order.is_empty() {
            let name = meseta_proto::headers::CHARGE.to_owned();
            let value = order.as_bytes().to_vec();
            self.request.borrow_mut().insert(name, value);
        }
    }

    pub fn number_property(&self, namespace: &str, field: &str, value: f64) {
        self.property_bytes(namespace, field, &value.to_le_bytes());
    }

    pub fn property_bytes(&self, namespace: &str, field: &str, value: &[u8]) {
        let path = ["metadata", "filter_metadata", namespace, field].join("/");
        self.properties.borrow_mut().insert(path, value.to_vec());
    }

    /// What the server says that was used.
    pub fn usage(&self, input: u64, output: u64, complete: bool) {
        self.number_property("meseta.usage", "input_tokens", input as f64);
        self.number_property("meseta.usage", "output_tokens", output as f64);
        self.property_bytes("meseta.usage", "complete", &[u8::from(complete)]);
    }

    /// A whole exchange, from its order to its log line.
    pub fn exchange(&self, meter: &Meter<&Self>, order: &str) -> Verdict {
        self.order(order);
        let mut exchange = Exchange::default();
        let verdict = exchange.request(meter);
        exchange.response(meter);
        exchange.log(meter);
        verdict
    }

    pub fn count(&self, counter: Counter) -> u64 {
        let counts = self.counts.borrow();
        counts.get(counter.name()).copied().unwrap_or(0)
    }

    pub fn warnings(&self) -> Vec<String> {
        let lines = self.lines.borrow();
        let warnings = lines.iter().filter(|(level, _)| *level == Level::Warn);
        warnings.map(|(_, line)| line.clone()).collect()
    }

    pub fn leave(&self) {
        if let Some(turns) = &self.envoy.turns {
            turns.leave(self.number);
        }
    }

    /// One host call: takes its turn, and fails where it is to.
    fn call(&self, call: Call) -> Result<(), Status> {
        self.calls.set(self.calls.get() + 1);
        if let Some(turns) = &self.envoy.turns {
            turns.pass(self.number);
        }
        let counts = matches!(call, Call::DefineCounter | Call::Increment);
        let one_in = match self.faults.get() {
            Faults::Always(always) if always == call => return Err(Status::INTERNAL_FAILURE),
            Faults::Nothing | Faults::Always(_) => return Ok(()),
            Faults::OneIn(_) if counts => return Ok(()),
            Faults::OneIn(many) | Faults::AnyOneIn(many) => many,
        };
        let mut random = self.random.borrow_mut();
        if random.below(one_in) > 0 {
            return Ok(());
        }
        let status = [1, 2, 3, 7, 8, 10, 12, 4711, u32::MAX];
        let place = random.below(status.len() as u64);
        Err(Status(status[usize::try_from(place).unwrap()]))
    }

    /// Garbage in place of what was asked for, now and then.
    fn garbage(&self) -> Option<Vec<u8>> {
        let (Faults::OneIn(many) | Faults::AnyOneIn(many)) = self.faults.get() else {
            return None;
        };
        let mut random = self.random.borrow_mut();
        if random.below(many) > 0 {
            return None;
        }
        let length = random.below(80);
        let start: &[u8] = match random.below(4) {
            0 => b"v1;openai;direct;1:1;all:1",
            1 => b"MLS\x01\x01\0\0\0",
            2 => b"v1;all:rs:1:1:",
            _ => b"",
        };
        let mut bytes = start.to_vec();
        bytes.extend((0..length).map(|_| random.next().to_le_bytes()[0]));
        Some(bytes)
    }
}

impl Host for &Worker<'_> {
    fn configuration(&self, _size: usize) -> Result<Vec<u8>, Status> {
        self.call(Call::Configuration)?;
        Ok(self.configuration.borrow().clone())
    }

    fn now(&self) -> Result<Duration, Status> {
        self.call(Call::Now)?;
        if let Some(garbage) = self.garbage() {
            let nanos = garbage
                .first_chunk()
                .map(|nanos| u64::from_le_bytes(*nanos));
            return Ok(Duration::from_nanos(nanos.unwrap_or(0)));
        }
        Ok(Duration::from_nanos(
            self.envoy.nanos.load(Ordering::Relaxed),
        ))
    }

    fn header(&self, of: Headers, name: &str) -> Result<Option<Vec<u8>>, Status> {
        self.call(Call::Header)?;
        assert_eq!(of, Headers::Request);
        if let Some(garbage) = self.garbage() {
            return Ok(Some(garbage));
        }
        Ok(self.request.borrow().get(name).cloned())
    }

    fn add_header(&self, _: Headers, _: &str, _: &str) -> Result<(), Status> {
        unreachable!("the meter adds no header")
    }

    fn replace_header(&self, of: Headers, name: &str, value: &str) -> Result<(), Status> {
        self.call(Call::ReplaceHeader)?;
        assert_eq!(of, Headers::Response);
        let (name, value) = (name.to_owned(), value.to_owned());
        self.response.borrow_mut().insert(name, value);
        Ok(())
    }

    fn remove_header(&self, _: Headers, _: &str) -> Result<(), Status> {
        unreachable!("the meter removes no header")
    }

    fn send_local_response(
        &self,
        status: u16,
        details: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<(), Status> {
        self.call(Call::SendLocalResponse)?;
        self.answers.borrow_mut().push(Answer {
            status,
            details: details.to_owned(),
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            body: String::from_utf8(body.to_vec()).unwrap(),
        });
        Ok(())
    }

    fn shared_data(&self, key: &str) -> Result<Option<Shared>, Status> {
        self.call(Call::Read)?;
        if let Some(value) = self.garbage() {
            let cas = NonZeroU32::MIN;
            return Ok(Some(Shared { value, cas }));
        }
        let data = self.envoy.data.lock().unwrap();
        Ok(data.0.get(key).map(|(value, cas)| Shared {
            value: value.clone(),
            cas: NonZeroU32::new(*cas).unwrap(),
        }))
    }

    /// As Envoy does it.
    fn set_shared_data(&self, key: &str, value: &[u8], cas: NonZeroU32) -> Result<(), Status> {
        self.call(Call::Write)?;
        if self.faults.get() == Faults::Always(Call::Swap) {
            return Err(Status::CAS_MISMATCH);
        }
        let mut data = self.envoy.data.lock().unwrap();
        data.1 += 1;
        let next = data.1;
        match data.0.get_mut(key) {
            Some((_, known)) if *known != cas.get() => return Err(Status::CAS_MISMATCH),
            Some(known) => *known = (value.to_vec(), next),
            None => {
                data.0.insert(key.to_owned(), (value.to_vec(), next));
            }
        }
        Ok(())
    }

    fn property(&self, path: &[&str]) -> Result<Option<Vec<u8>>, Status> {
        self.call(Call::Property)?;
        if let Some(garbage) = self.garbage() {
            return Ok(Some(garbage));
        }
        Ok(self.properties.borrow().get(&path.join("/")).cloned())
    }

    fn define_counter(&self, name: &str) -> Result<CounterId, Status> {
        self.call(Call::DefineCounter)?;
        let place = Counter::ALL.iter().position(|known| known.name() == name);
        Ok(CounterId(u32::try_from(place.unwrap()).unwrap()))
    }

    fn increment(&self, counter: CounterId, by: u32) -> Result<(), Status> {
        self.call(Call::Increment)?;
        assert!(by > 0);
        let counter = Counter::ALL[usize::try_from(counter.0).unwrap()];
        let mut counts = self.counts.borrow_mut();
        *counts.entry(counter.name()).or_default() += u64::from(by);
        Ok(())
    }

    fn log(&self, level: Level, message: &str) {
        self.lines.borrow_mut().push((level, message.to_owned()));
    }
}
