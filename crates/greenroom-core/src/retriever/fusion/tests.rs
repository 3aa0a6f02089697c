//! The formula, and what does not change its outcome.

use proptest::prelude::*;

use super::*;

fn passage(source: &str) -> Passage {
    Passage {
        source: source.into(),
        start_line: 1,
        end_line: 2,
        heading: Vec::new(),
        score: 99.0,
        text: String::new(),
        also_at: Vec::new(),
        ranks: None,
    }
}

#[test]
fn a_passage_that_two_sources_rank_beats_one_that_a_single_source_ranks_first() {
    let fused = fuse(
        vec![
            vec![passage("first-of-one"), passage("in-both")],
            vec![passage("other"), passage("in-both")],
        ],
        2,
    );
    let order: Vec<_> = fused.iter().map(|p| p.source.as_str()).collect();
    assert_eq!(order, ["in-both", "first-of-one"]);
    assert!((fused[0].score - 2.0 / 62.0).abs() < 1e-6);
    assert!((fused[1].score - 1.0 / 61.0).abs() < 1e-6);
}

/// Rankings without repetitions, of keys that they share in part.
fn rankings() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let ranking = prop::collection::hash_set(0_u8..30, 0..20).prop_map(Vec::from_iter);
    prop::collection::vec(ranking.prop_shuffle(), 1..5)
}

fn order(rankings: &[Vec<u8>]) -> Vec<(u8, f64)> {
    reciprocal_rank(rankings).into_iter().map(|fused| (fused.key, fused.score)).collect()
}

proptest! {
    #[test]
    fn the_order_of_the_rankings_changes_nothing(
        (given, shuffled) in rankings().prop_flat_map(|r| (Just(r.clone()), Just(r).prop_shuffle()))
    ) {
        prop_assert_eq!(order(&given), order(&shuffled));
    }

    #[test]
    fn scores_follow_the_formula_and_ranks_say_why(given in rankings()) {
        let fused = reciprocal_rank(&given);
        for one in &fused {
            let place = |ranking: &Vec<u8>| ranking.iter().position(|key| *key == one.key);
            let wanted: f64 =
                given.iter().filter_map(place).map(|i| 1.0 / (61.0 + i as f64)).sum();
            prop_assert!((one.score - wanted).abs() < 1e-12);
            let ranks: Vec<_> =
                given.iter().map(|ranking| place(ranking).map(|i| i as u32 + 1)).collect();
            prop_assert_eq!(&one.ranks, &ranks);
        }
        let all: std::collections::BTreeSet<_> = given.iter().flatten().collect();
        prop_assert_eq!(fused.len(), all.len());
        for pair in fused.windows(2) {
            let is_in_order = pair[0].score > pair[1].score
                || (pair[0].score == pair[1].score && pair[0].key < pair[1].key);
            prop_assert!(is_in_order, "{:?}", pair);
        }
    }

    #[test]
    fn what_every_ranking_has_first_is_first(given in rankings(), best in 30_u8..40) {
        let with_best: Vec<Vec<u8>> =
            given.iter().map(|ranking| [&[best], ranking.as_slice()].concat()).collect();
        prop_assert_eq!(reciprocal_rank(&with_best)[0].key, best);
    }

    #[test]
    fn a_better_place_never_means_a_lower_score(given in rankings(), at in 0_usize..20) {
        let mut better = given.clone();
        let Some(i) = (1..better[0].len()).nth(at) else { return Ok(()) };
        let key = better[0][i];
        better[0].swap(i - 1, i);
        let score = |rankings: &[Vec<u8>]| {
            order(rankings).into_iter().find(|(found, _)| *found == key).map(|(_, score)| score)
        };
        prop_assert!(score(&better) > score(&given));
    }
}

#[test]
fn a_key_that_a_ranking_has_twice_counts_once() {
    let fused = reciprocal_rank(&[vec!["a", "b", "a"]]);
    assert_eq!((fused[0].key, fused[0].score), ("a", 1.0 / 61.0));
    assert_eq!(fused.len(), 2);
    assert_eq!(reciprocal_rank::<u8>(&[]), []);
}
