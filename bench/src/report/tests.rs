use super::*;

const MEMORY: Memory = Memory {
    rss: 2 * 1024 * 1024,
    peak: 3 * 1024 * 1024,
};

fn sample(cell: Cell, round: u32, events: usize, exchanges: u64) -> Sample {
    let scenario = Scenario {
        connections: 1,
        events,
        pace: (events > 0).then_some(Pace::Flood),
    };
    let measured = Measured {
        elapsed: Duration::from_secs(2),
        rate: exchanges as f64 / 2.0,
        latencies: (1..=exchanges).map(Duration::from_micros).collect(),
        first_events: (1..=exchanges)
            .map(|own| Duration::from_micros(own) / 10)
            .collect(),
    };
    let cost = Cost {
        envoy: Duration::from_millis(100),
        server: (cell != Cell::Alone).then_some(Duration::from_millis(50)),
        bench: Duration::from_millis(10),
        machine: Duration::from_millis(if round == 1 { 160 } else { 1160 }),
        envoy_memory: MEMORY,
        server_memory: None,
    };
    Sample::new(cell, scenario, round, &measured, cost)
}

#[test]
fn figures_are_per_request_or_per_event() {
    let chat = sample(Cell::Noop, 1, 0, 1000);
    assert!((chat.rate - 500.0).abs() < 1e-9);
    assert!((chat.p50_us - 500.0).abs() < 1e-6);
    assert!((chat.envoy_cpu_us - 100.0).abs() < 1e-6);
    assert!((chat.cpu_us() - 150.0).abs() < 1e-6);
    let stream = sample(Cell::Noop, 1, 10, 1000);
    assert!((stream.rate - 5000.0).abs() < 1e-9);
    assert!((stream.p50_us - 500.0).abs() < 1e-6, "of a whole stream");
    assert!((stream.cpu_us() - 15.0).abs() < 1e-6);
    assert_eq!(stream.first_event_p50_us, Some(50.0), "not per event");
    assert_eq!(chat.first_event_p50_us, None, "is no stream");
}

#[test]
fn a_machine_that_is_not_quiet_is_told() {
    let report = |round| {
        let samples = vec![sample(Cell::Noop, round, 0, 1000)];
        Report::new(1, 2, vec![Cell::Noop], samples).to_string()
    };
    assert!(!report(1).contains("too much"), "{}", report(1));
    let table = report(2);
    assert!(table.contains("used 0.50 CPUs"), "{table}");
    assert!(table.contains("too much"), "{table}");
}

#[test]
fn only_cells_that_ran_are_compared() {
    let samples = vec![
        sample(Cell::Noop, 1, 0, 1000),
        sample(Cell::Meseta, 1, 0, 800),
        sample(Cell::Noop, 2, 0, 1000),
        sample(Cell::Meseta, 2, 0, 900),
    ];
    let report = Report::new(2, 2, vec![Cell::Noop, Cell::Meseta], samples);
    let comparisons = report.comparisons();
    assert_eq!(comparisons.len(), 1);
    assert_eq!(comparisons[0].pair, "C/B");
    assert!((comparisons[0].rate.median - 0.85).abs() < 1e-9);
    assert!((comparisons[0].rate.max - 0.9).abs() < 1e-9);
}

#[test]
fn the_table_shows_each_cell_and_ratio() {
    let samples = vec![
        sample(Cell::Alone, 1, 0, 4000),
        sample(Cell::Meseta, 1, 0, 1000),
    ];
    let report = Report::new(1, 2, vec![Cell::Alone, Cell::Meseta], samples);
    let table = report.to_string();
    assert!(table.contains("  A        2000"), "{table}");
    assert!(table.contains("  C         500"), "{table}");
    assert!(table.contains("C/A: requests/s ×0.25"), "{table}");
    assert!(!table.contains("1st p50 ×"), "{table}");
    assert!(!table.contains("NaN/"), "{table}");
    let json = report.json();
    assert_eq!(json["ratios"][0]["pair"], "C/A");
    assert_eq!(json["samples"][0]["cell"], "A");
}

#[test]
fn our_ways_to_a_provider_are_compared_with_each_other() {
    let cells = [
        (Cell::Meseta, 1000),
        (Cell::Relay, 800),
        (Cell::Straight, 900),
        (Cell::Fallbacks, 800),
    ];
    let samples = cells.map(|(cell, exchanges)| sample(cell, 1, 10, exchanges));
    let report = Report::new(1, 2, cells.map(|(cell, _)| cell).into(), samples.into());
    let comparisons = report.comparisons();
    let rates: Vec<(&str, f64)> = comparisons
        .iter()
        .map(|own| (own.pair.as_str(), own.rate.median))
        .collect();
    assert_eq!(
        rates,
        [("R/C", 0.8), ("S/C", 0.9), ("S/R", 1.125), ("F/R", 1.0)]
    );
    let first_event = comparisons[0].first_event.expect("is a stream");
    assert!((first_event.median - 0.8).abs() < 1e-9);
    let table = report.to_string();
    assert!(table.contains("F/R: events/s ×1.00"), "{table}");
    assert!(table.contains("1st p50 ×0.80 (0.80–0.80), CPU"), "{table}");
}
