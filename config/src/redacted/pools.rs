//! Names with several targets, for people. The values that headers must have may be secret.

use serde_json::{json, Map, Value};

use super::seconds;
use crate::pool::{
    Conditions, Destination, Hedge, Mirror, Policy, Pool, PoolTarget, Rule, Select, Sticky,
    UpstreamPath,
};
use crate::schema::CONDITIONS;
use crate::secret::REDACTED;

pub(super) fn pool(pool: &Pool) -> Value {
    json!({
        "name": pool.name,
        "targets": pool.targets.iter().map(target).collect::<Vec<_>>(),
        "select": match pool.select {
            Select::Weighted => "weighted",
            Select::Fastest => "fastest",
            Select::LeastBusy => "least_busy",
        },
        "sticky": pool.sticky.as_ref().map(|sticky| match sticky {
            Sticky::Header(header) => json!({"header": header}),
            Sticky::Consumer => json!({"consumer": true}),
        }),
        "rules": pool.rules.iter().map(rule).collect::<Vec<_>>(),
        "mirror": pool.mirror.as_ref().map(mirror),
        "policy": policy(&pool.policy),
    })
}

fn target(target: &PoolTarget) -> Value {
    json!({
        "id": target.model.id,
        "priority": target.priority,
        "weight": target.weight,
        "context_window": target.context_window,
    })
}

fn rule(rule: &Rule) -> Value {
    let headers = rule.headers.iter().map(|(name, value)| {
        let shown = value.as_ref().map_or("*", |_| REDACTED);
        (name.clone(), json!(shown))
    });
    let to = match &rule.to {
        Destination::Pool(name) => name,
        Destination::Model(model) => &model.id,
    };
    let consumer = rule.consumer.as_ref().map(|own| {
        let patterns = own.iter().map(|pattern| pattern.as_str());
        patterns.collect::<Vec<_>>()
    });
    let header = headers.collect::<Map<_, _>>();
    json!({"match": {"header": header, "consumer": consumer}, "use": to})
}

fn mirror(mirror: &Mirror) -> Value {
    json!({
        "model": mirror.model.id,
        "share": mirror.share,
        "compare": mirror.compare,
    })
}

fn policy(policy: &Policy) -> Value {
    let failover = &policy.failover;
    let cooldown = &failover.cooldown;
    json!({
        "path": policy.path.map(UpstreamPath::as_str),
        "failover": {
            "on": conditions(&failover.on),
            "max_attempts": failover.max_attempts,
            "retry_budget": failover.retry_budget,
            "cooldown": {
                "failures": cooldown.failures,
                "error_rate": cooldown.error_rate,
                "first": seconds(cooldown.first),
                "longest": seconds(cooldown.longest),
            },
        },
        "timeout": {
            "headers": policy.timeout.headers.map(seconds),
            "first_token": policy.timeout.first_token.map(seconds),
            "idle": policy.timeout.idle.map(seconds),
            "total": policy.timeout.total.map(seconds),
        },
        "hedge_after": policy.hedge.map(|hedge| match hedge {
            Hedge::Percentile(percentile) => format!("p{percentile}"),
            Hedge::After(duration) => seconds(duration),
        }),
        "resume": policy.resume,
    })
}

/// As in the configuration.
fn conditions(on: &Conditions) -> Vec<Value> {
    let statuses = on.statuses.iter().map(|status| json!(status));
    let is_set = |name: &str| match name {
        "connect" => on.connect,
        "headers_timeout" => on.headers_timeout,
        "first_token_timeout" => on.first_token_timeout,
        "idle_timeout" => on.idle_timeout,
        "reset" => on.reset,
        "bad_answer" => on.bad_answer,
        "context_length" => on.context_length,
        "content_filter" => on.content_filter,
        _ => false,
    };
    let names = CONDITIONS.iter().filter(|name| is_set(name));
    statuses.chain(names.map(|name| json!(name))).collect()
}
