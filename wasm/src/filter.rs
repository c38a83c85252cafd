//! The meter as Envoy sees it: one root context per configuration, one context per exchange.
//!
//! Thin on purpose: it owns no decision, only hands the SDK's callbacks on to [`crate::meter`].
//! Callbacks that are not here keep the SDK's default, which lets bodies and trailers through
//! untouched. The SDK's own host-call methods (`self.get_property(…)` and the like) must not be
//! used: they panic on a status that they do not expect.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};

use crate::abi::Envoy;
use crate::meter::{Exchange, Meter, Verdict};

/// Tells the SDK what to make when Envoy starts the virtual machine.
pub(crate) fn install() {
    proxy_wasm::set_root_context(|_| {
        Box::new(Root {
            meter: Rc::new(Meter::new(Envoy)),
        })
    });
}

/// One configuration of the filter in one virtual machine.
struct Root {
    meter: Rc<Meter<Envoy>>,
}

impl Context for Root {}

impl RootContext for Root {
    /// False makes Envoy refuse the configuration. Exchanges that have begun with the one before keep
    /// that.
    fn on_configure(&mut self, plugin_configuration_size: usize) -> bool {
        let mut meter = Meter::new(Envoy);
        let taken = meter.configure(plugin_configuration_size);
        if taken {
            self.meter = Rc::new(meter);
        }
        taken
    }

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream {
            meter: Rc::clone(&self.meter),
            exchange: Exchange::default(),
        }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

/// One exchange in the chain.
struct Stream {
    meter: Rc<Meter<Envoy>>,
    exchange: Exchange,
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        match self.exchange.request(&self.meter) {
            Verdict::Continue => Action::Continue,
            Verdict::Refused => Action::Pause,
        }
    }

    fn on_http_response_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        self.exchange.response(&self.meter);
        Action::Continue
    }

    fn on_log(&mut self) {
        self.exchange.log(&self.meter);
    }
}
