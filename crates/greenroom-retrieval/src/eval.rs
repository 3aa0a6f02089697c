//! Measures of a ranking. Knows no data set and no index.

use std::collections::HashMap;

/// Normalised discounted cumulative gain of the first `k` of a ranking, 0 to 1: gains are divided
/// by `log2(rank + 1)`, summed, and divided by the sum of the best possible ranking.
///
/// `gains` are the judged documents; one that is missing gains nothing. Zero when nothing has gain.
///
/// Source: Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", 2002, with
/// the linear gain of trec_eval.
#[must_use]
pub fn ndcg_at<S: AsRef<str>>(ranked: &[S], gains: &HashMap<String, f64>, k: usize) -> f64 {
    let discounted = |gains: &mut dyn Iterator<Item = f64>| -> f64 {
        gains.take(k).enumerate().map(|(i, gain)| gain / (i as f64 + 2.0).log2()).sum()
    };
    let mut ideal: Vec<f64> = gains.values().copied().collect();
    ideal.sort_by(|left, right| right.total_cmp(left));
    let ideal = discounted(&mut ideal.into_iter());
    if ideal <= 0.0 {
        return 0.0;
    }
    let gain = |document: &S| gains.get(document.as_ref()).copied().unwrap_or(0.0);
    discounted(&mut ranked.iter().map(gain)) / ideal
}

/// The share of `wanted` documents among the first `k` of a ranking; 1 when none is wanted.
#[must_use]
pub fn recall_at<S: AsRef<str>>(ranked: &[S], wanted: &[String], k: usize) -> f64 {
    if wanted.is_empty() {
        return 1.0;
    }
    let found = |document: &&String| ranked.iter().take(k).any(|hit| hit.as_ref() == **document);
    wanted.iter().filter(found).count() as f64 / wanted.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ndcg_is_what_trec_eval_computes() {
        let gains = HashMap::from([("a".to_owned(), 1.0), ("b".to_owned(), 1.0)]);
        assert!((ndcg_at(&["a", "b"], &gains, 10) - 1.0).abs() < 1e-12);
        // b at rank 3: (1 + 1/log2(4)) / (1 + 1/log2(3))
        let expected = 1.5 / (1.0 + 1.0 / 3_f64.log2());
        assert!((ndcg_at(&["a", "x", "b"], &gains, 10) - expected).abs() < 1e-12);
        assert_eq!(ndcg_at(&["x", "a"], &gains, 1), 0.0);
        assert_eq!(ndcg_at(&["a"], &HashMap::new(), 10), 0.0);
    }

    #[test]
    fn recall_counts_what_is_wanted() {
        let wanted = ["a".to_owned(), "b".to_owned()];
        assert_eq!(recall_at(&["b", "x", "a"], &wanted, 2), 0.5);
        assert_eq!(recall_at(&["b", "x", "a"], &wanted, 3), 1.0);
    }
}
