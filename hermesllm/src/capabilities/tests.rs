use super::*;

#[test]
fn whatever_differs_is_told() {
    let mut wrong = Vec::new();
    for group in table().groups {
        for feature in &group.features {
            for ((from, to), verdict) in &feature.verdicts {
                if let Verdict::Untold { before, after } = verdict {
                    let name = format!("{}: {}", group.title, feature.name);
                    wrong.push(format!("{name}: {from} -> {to}: {before} / {after}"));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn the_same_program_gives_the_same_table() {
    assert_eq!(table(), table());
}

#[test]
fn every_feature_is_one_of_some_api() {
    for group in table().groups {
        for feature in group.features {
            assert!(
                !feature.verdicts.is_empty(),
                "{}: {}",
                group.title,
                feature.name
            );
        }
    }
}
