use super::*;

fn wish(enabled: Option<Enabled>, effort: Option<Effort>, budget: Option<u64>) -> ReasoningConfig {
    ReasoningConfig {
        enabled: enabled.map(|enabled| At::new(enabled, "/enabled")),
        effort: effort.map(|effort| At::new(effort, "/effort")),
        budget: budget.map(|budget| At::new(budget, "/budget")),
        ..ReasoningConfig::default()
    }
}

/// The additional fields, and the places of what is lost.
fn written(reasoning: ReasoningConfig, model: &str, most: Option<u64>) -> (Value, Vec<String>) {
    let extra = Extra {
        reasoning: Some(reasoning),
        top_k: None,
    };
    let mut root = json!({});
    let mut losses = Losses::new();
    write(extra, model, most, &mut root, &mut losses);
    let at = losses.as_slice().iter().map(|loss| loss.path.to_string());
    (root[FIELDS].take(), at.collect())
}

const CLAUDE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
const ADAPTIVE: &str = "us.anthropic.claude-opus-4-6-v1";
const NOVA: &str = "us.amazon.nova-2-lite-v1:0";
const GPT: &str = "openai.gpt-oss-120b-1:0";

#[test]
fn models_are_known_by_their_identifier() {
    for (model, expected) in [
        (CLAUDE, Family::Claude),
        ("anthropic.claude-3-7-sonnet-20250219-v1:0", Family::Claude),
        ("us.anthropic.claude-sonnet-5", Family::AdaptiveClaude),
        (ADAPTIVE, Family::AdaptiveClaude),
        (
            "arn:aws:bedrock:us-east-1:1:application-inference-profile/x",
            Family::Claude,
        ),
        (NOVA, Family::Nova),
        (GPT, Family::Gpt),
        ("us.deepseek.r1-v1:0", Family::Other),
        ("us.meta.llama3-1-70b-instruct-v1:0", Family::Other),
    ] {
        assert_eq!(family(model), expected, "{model}");
    }
}

#[test]
fn an_effort_is_a_budget_a_word_or_a_loss() {
    let high = wish(None, Some(Effort::High), None);
    let (fields, losses) = written(high.clone(), CLAUDE, Some(30_000));
    assert_eq!(
        fields,
        json!({"thinking": {"type": "enabled", "budget_tokens": 24_576}})
    );
    assert_eq!(losses, ["/effort"]);
    let (fields, losses) = written(high.clone(), ADAPTIVE, None);
    assert_eq!(
        fields,
        json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}})
    );
    assert!(losses.is_empty());
    let (fields, losses) = written(high.clone(), NOVA, None);
    assert_eq!(
        fields,
        json!({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}})
    );
    assert!(losses.is_empty());
    let (fields, losses) = written(high.clone(), GPT, None);
    assert_eq!(fields, json!({"reasoning_effort": "high"}));
    assert!(losses.is_empty());
    let (fields, losses) = written(high, "mistral.x", None);
    assert_eq!((fields, losses), (Value::Null, vec!["/effort".to_owned()]));
}

#[test]
fn a_budget_keeps_within_its_bounds() {
    let budget = |tokens, most| written(wish(Some(Enabled::Yes), None, Some(tokens)), CLAUDE, most);
    let of = |tokens: u64| json!({"thinking": {"type": "enabled", "budget_tokens": tokens}});
    let at = || vec!["/budget".to_owned()];
    assert_eq!(budget(4000, None), (of(4000), vec![]));
    assert_eq!(budget(100, None), (of(1024), at()));
    assert_eq!(budget(4000, Some(2000)), (of(1999), at()));
    assert_eq!(budget(4000, Some(1000)), (Value::Null, at()));
    let (fields, losses) = written(wish(None, None, Some(5000)), NOVA, None);
    assert_eq!(fields["reasoningConfig"]["maxReasoningEffort"], "medium");
    assert_eq!(losses, at());
}

#[test]
fn no_thinking_is_no_thinking() {
    for off in [
        wish(Some(Enabled::No), None, None),
        wish(None, Some(Effort::None), None),
        wish(None, None, Some(0)),
    ] {
        let disabled = json!({"type": "disabled"});
        let (fields, losses) = written(off.clone(), CLAUDE, None);
        assert_eq!((fields, losses.len()), (json!({"thinking": disabled}), 0));
        let (fields, losses) = written(off.clone(), NOVA, None);
        assert_eq!(
            (fields, losses.len()),
            (json!({"reasoningConfig": disabled}), 0)
        );
        let (fields, losses) = written(off, GPT, None);
        assert_eq!((fields, losses.len()), (Value::Null, 1));
    }
}

#[test]
fn what_is_shown_of_the_thoughts_is_chosen_where_it_can_be() {
    let shown = |model: &str, word: &str| {
        let mut config = wish(Some(Enabled::Adaptive), None, None);
        config.summary = Some(At::new(word.to_owned(), "/summary"));
        let (fields, losses) = written(config, model, None);
        (fields["thinking"]["display"].clone(), losses.len())
    };
    assert_eq!(shown(ADAPTIVE, "auto"), (json!("summarized"), 0));
    assert_eq!(shown(ADAPTIVE, "none"), (json!("omitted"), 0));
    assert_eq!(shown(ADAPTIVE, "detailed"), (json!("summarized"), 1));
    assert_eq!(shown(NOVA, "auto"), (Value::Null, 1));
}

#[test]
fn top_k_has_the_model_s_own_name() {
    for (model, pointer) in [
        (CLAUDE, "/additionalModelRequestFields/top_k"),
        (NOVA, "/additionalModelRequestFields/inferenceConfig/topK"),
    ] {
        let extra = Extra {
            reasoning: None,
            top_k: Some(At::new(5.into(), "/top_k")),
        };
        let mut root = json!({});
        write(extra, model, None, &mut root, &mut Losses::new());
        assert_eq!(root.pointer(pointer), Some(&json!(5)));
    }
}

#[test]
fn every_model_s_words_are_read_and_come_back() {
    for fields in [
        json!({"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "max"}}),
        json!({"reasoning_config": {"type": "enabled", "budget_tokens": 2000}}),
        json!({"reasoningConfig": {"type": "disabled"}}),
        json!({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}),
        json!({"reasoning_effort": "medium", "inferenceConfig": {"topK": 5}}),
        json!({"thinking": {"type": "new", "budget_tokens": "many", "display": 1}}),
        json!({"thinking": true, "top_k": "five", "reasoning_effort": "huge"}),
        json!([1]),
    ] {
        let mut extensions = Vec::new();
        let at = format!("/{FIELDS}");
        let extra = read(At::new(fields.clone(), at), &mut extensions);
        let mut root = json!({});
        let mut losses = Losses::new();
        super::super::place::restore(&mut root, "", extensions, true, &mut losses);
        write_back(extra, &mut root);
        assert_eq!(root[FIELDS], fields);
        assert!(losses.is_empty());
    }
}
