//! What the plan of every kind must hold, whatever the spec and whatever Coder has. A kind says how to make up both and
//! what its changes do; the rules are the same for all.

use std::fmt::Debug;

use proptest::strategy::{BoxedStrategy, Strategy};
use proptest::test_runner::TestRunner;

use crate::engine::Remote;
use crate::engine::remote::Change;

/// More rounds than any plan needs.
const ROUNDS: usize = 4;

/// A kind with a model of Coder.
pub(super) trait Model: Remote<Desired: Debug, Observed: Debug> {
    /// Any spec.
    fn any_desired() -> BoxedStrategy<Self::Desired>;
    /// Anything that Coder may hold.
    fn any_observed() -> BoxedStrategy<Self::Observed>;
    /// The spec without its optional fields.
    fn bare(desired: Self::Desired) -> Self::Desired;
    /// What optional fields manage.
    fn optional_part(observed: &Self::Observed) -> String;
    /// What Coder holds after the change.
    fn after(desired: &Self::Desired, observed: Option<Self::Observed>, change: &Self::Change) -> Self::Observed;
}

/// What is not there is created, by the first change and by no other.
pub(super) fn what_is_absent_is_created<M: Model>() {
    run(&M::any_desired(), |desired| {
        let creations: Vec<bool> = M::plan(&desired, None).iter().map(Change::creates).collect();
        assert_eq!(creations.first(), Some(&true), "{desired:?}");
        assert!(creations.iter().skip(1).all(|creates| !creates), "{desired:?}");
    });
}

/// After a plan was carried out there is nothing left to do, from nothing and from anything.
pub(super) fn a_plan_carried_out_leaves_nothing_to_do<M: Model>() {
    run(
        &(M::any_desired(), proptest::option::of(M::any_observed())),
        |(desired, mut observed)| {
            for _ in 0..ROUNDS {
                let changes = M::plan(&desired, observed.as_ref());
                if changes.is_empty() {
                    return;
                }
                for change in changes {
                    observed = Some(M::after(&desired, observed, &change));
                    if change.creates() {
                        break;
                    }
                }
            }
            let left: Vec<String> = M::plan(&desired, observed.as_ref())
                .iter()
                .map(ToString::to_string)
                .collect();
            assert!(
                left.is_empty(),
                "still to do: {left:?} for {desired:?} and {observed:?}"
            );
        },
    );
}

/// After a plan for what is there was carried out there is nothing left to do.
pub(super) fn a_plan_for_what_stands_leaves_nothing_to_do<M: Model>() {
    run(&(M::any_desired(), M::any_observed()), |(desired, observed)| {
        let mut observed = Some(observed);
        for change in M::plan(&desired, observed.as_ref()) {
            observed = Some(M::after(&desired, observed, &change));
        }
        let left: Vec<String> = M::plan(&desired, observed.as_ref())
            .iter()
            .map(ToString::to_string)
            .collect();
        assert!(
            left.is_empty(),
            "still to do: {left:?} for {desired:?} and {observed:?}"
        );
    });
}

/// What the spec does not say is left as it is.
pub(super) fn what_is_absent_in_the_spec_is_not_touched<M: Model>() {
    run(&(M::any_desired(), M::any_observed()), |(desired, observed)| {
        let desired = M::bare(desired);
        let before = M::optional_part(&observed);
        let mut observed = Some(observed);
        for change in M::plan(&desired, observed.as_ref()) {
            observed = Some(M::after(&desired, observed, &change));
        }
        assert_eq!(observed.as_ref().map(M::optional_part), Some(before), "{desired:?}");
    });
}

/// The rules for what always stands, as tests of a kind: the same, but that it is never absent.
macro_rules! hold_for_standing {
    ($kind:ty) => {
        #[test]
        fn a_plan_carried_out_leaves_nothing_to_do() {
            $crate::kinds::properties::a_plan_for_what_stands_leaves_nothing_to_do::<$kind>();
        }

        #[test]
        fn what_is_absent_in_the_spec_is_not_touched() {
            $crate::kinds::properties::what_is_absent_in_the_spec_is_not_touched::<$kind>();
        }
    };
}
pub(super) use hold_for_standing;

/// The three rules as tests of a kind.
macro_rules! hold_for {
    ($kind:ty) => {
        #[test]
        fn what_is_absent_is_created() {
            $crate::kinds::properties::what_is_absent_is_created::<$kind>();
        }

        #[test]
        fn a_plan_carried_out_leaves_nothing_to_do() {
            $crate::kinds::properties::a_plan_carried_out_leaves_nothing_to_do::<$kind>();
        }

        #[test]
        fn what_is_absent_in_the_spec_is_not_touched() {
            $crate::kinds::properties::what_is_absent_in_the_spec_is_not_touched::<$kind>();
        }
    };
}
pub(super) use hold_for;

/// A name of a few, so that equal ones meet.
pub(super) fn few_names() -> BoxedStrategy<String> {
    proptest::sample::select(vec!["a", "b", "C"])
        .prop_map(str::to_owned)
        .boxed()
}

/// A text of a few, empty among them.
pub(super) fn few_texts() -> BoxedStrategy<String> {
    proptest::sample::select(vec!["", "x", "y"])
        .prop_map(str::to_owned)
        .boxed()
}

fn run<S: Strategy>(strategy: &S, check: impl Fn(S::Value)) {
    let checked = |value| {
        check(value);
        Ok(())
    };
    TestRunner::default()
        .run(strategy, checked)
        .unwrap_or_else(|failure| panic!("{failure}"));
}
