//! Values as JSON Schema compares them: a number by what it is, not by how it is written; an object without an order.

use std::cmp::Ordering;
use std::hash::{BuildHasher, RandomState};

use scout_runtime::{Meter, Stopped};
use serde_json::{Number, Value};

/// The value of a number: two that are equal are the same here.
#[derive(Clone, Copy, PartialEq, Hash)]
enum Numeric {
    Integer(i128),
    /// As it is in bits, and no integer that fits the other.
    Float(u64),
}

impl Numeric {
    fn of(number: &Number) -> Self {
        /// Up to here every integer that a float can be is one of the other kind, too.
        const EXACT: f64 = 1e38;
        if let Some(integer) = number.as_i64() {
            return Self::Integer(integer.into());
        }
        if let Some(integer) = number.as_u64() {
            return Self::Integer(integer.into());
        }
        let float = number.as_f64().unwrap_or(f64::NAN);
        if float.fract() == 0.0 && float.abs() < EXACT {
            return Self::Integer(float as i128);
        }
        Self::Float(float.to_bits())
    }

    fn float(self) -> f64 {
        match self {
            Self::Integer(integer) => integer as f64,
            Self::Float(bits) => f64::from_bits(bits),
        }
    }
}

/// Whether a number has no fraction.
pub(super) fn is_integer(number: &Number) -> bool {
    match Numeric::of(number) {
        Numeric::Integer(_) => true,
        Numeric::Float(bits) => f64::from_bits(bits).fract() == 0.0,
    }
}

/// Which of two numbers is larger.
pub(super) fn compare(one: &Number, other: &Number) -> Ordering {
    match (Numeric::of(one), Numeric::of(other)) {
        (Numeric::Integer(one), Numeric::Integer(other)) => one.cmp(&other),
        (one, other) => one.float().total_cmp(&other.float()),
    }
}

/// Whether a number is another so many times. Exact, as the numbers are written: 0.3 is 0.1 three times.
pub(super) fn is_multiple(number: &Number, of: &Number) -> bool {
    if let (Numeric::Integer(number), Numeric::Integer(of)) = (Numeric::of(number), Numeric::of(of)) {
        return of != 0 && number % of == 0;
    }
    let (Some((number, number_power)), Some((of, of_power))) = (decimal(number), decimal(of)) else { return false };
    if number == 0 || of == 0 {
        return number == 0 && of != 0;
    }
    match number_power - of_power {
        // Seventeen digits each: nothing below is larger than 128 bits hold.
        more @ 0.. => {
            let tens = (0..more).fold(1 % of, |tens, _| tens * 10 % of);
            number % of * tens % of == 0
        }
        less => {
            let tens = 10_u128.checked_pow(less.unsigned_abs());
            tens.and_then(|tens| of.checked_mul(tens)).is_some_and(|of| number % of == 0)
        }
    }
}

/// The digits of a number, and the power of ten that they stand before; the sign is left out.
fn decimal(number: &Number) -> Option<(u128, i32)> {
    let text = number.to_string();
    let text = text.trim_start_matches('-');
    let (digits, power) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let power = power.parse::<i32>().ok()? - i32::try_from(fraction.len()).ok()?;
    let joined = format!("{whole}{fraction}");
    let significant = joined.trim_end_matches('0');
    let zeros = i32::try_from(joined.len() - significant.len()).ok()?;
    Some((if significant.is_empty() { 0 } else { significant.parse().ok()? }, power + zeros))
}

/// Whether two values are the same.
pub(super) fn equal(one: &Value, other: &Value, meter: &mut Meter) -> Result<bool, Stopped> {
    meter.take(1)?;
    Ok(match (one, other) {
        (Value::Number(one), Value::Number(other)) => Numeric::of(one) == Numeric::of(other),
        (Value::String(one), Value::String(other)) => {
            if one.len() == other.len() {
                meter.take_bytes(one.len())?;
            }
            one == other
        }
        (Value::Array(one), Value::Array(other)) => {
            if one.len() != other.len() {
                return Ok(false);
            }
            for (one, other) in one.iter().zip(other) {
                if !equal(one, other, meter)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Object(one), Value::Object(other)) => {
            if one.len() != other.len() {
                return Ok(false);
            }
            for (name, one) in one {
                // Compared with several others that may begin alike.
                meter.take_bytes(8 * name.len())?;
                match other.get(name) {
                    Some(other) if equal(one, other, meter)? => {}
                    Some(_) | None => return Ok(false),
                }
            }
            true
        }
        (one, other) => one == other,
    })
}

/// A hash of a value, the same for values that are the same. With a key that nobody who writes values knows.
pub(super) fn hash(value: &Value, key: &RandomState, meter: &mut Meter) -> Result<u64, Stopped> {
    meter.take(1)?;
    Ok(match value {
        Value::Null => key.hash_one(0_u8),
        Value::Bool(value) => key.hash_one((1_u8, value)),
        Value::Number(number) => key.hash_one((2_u8, Numeric::of(number))),
        Value::String(text) => {
            meter.take_bytes(text.len())?;
            key.hash_one((3_u8, text))
        }
        Value::Array(values) => {
            let mut all = key.hash_one(4_u8);
            for value in values {
                all = key.hash_one((all, hash(value, key, meter)?));
            }
            all
        }
        Value::Object(fields) => {
            let mut all = key.hash_one(5_u8);
            for (name, value) in fields {
                meter.take_bytes(name.len())?;
                all = all.wrapping_add(key.hash_one((name, hash(value, key, meter)?)));
            }
            all
        }
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use serde_json::json;

    use super::*;

    fn number(text: &str) -> Number {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn numbers_are_compared_by_what_they_are() {
        for (one, other, order) in [
            ("1", "1.0", Ordering::Equal),
            ("-0.0", "0", Ordering::Equal),
            ("1e2", "100", Ordering::Equal),
            ("9007199254740993", "9007199254740992", Ordering::Greater),
            ("18446744073709551615", "-1", Ordering::Greater),
            ("1.5", "2", Ordering::Less),
            ("1e300", "18446744073709551615", Ordering::Greater),
        ] {
            assert_eq!(compare(&number(one), &number(other)), order, "{one} {other}");
        }
        assert!(is_integer(&number("1.0")) && is_integer(&number("1e300")) && !is_integer(&number("1.5")));
    }

    #[test]
    fn multiples_are_exact() {
        for (one, of, is) in [
            ("10", "5", true),
            ("7", "2", false),
            ("0", "2.5", true),
            ("0.3", "0.1", true),
            ("0.0075", "0.0001", true),
            ("0.00751", "0.0001", false),
            ("4.5", "1.5", true),
            ("35", "1.5", false),
            ("1e308", "0.123456789", false),
            ("1e308", "0.5", true),
            ("12391239123", "1e-8", true),
            ("-4.5", "1.5", true),
            ("1e-300", "1", false),
        ] {
            assert_eq!(is_multiple(&number(one), &number(of)), is, "{one} {of}");
        }
    }

    #[test]
    fn values_that_are_the_same_have_the_same_hash_and_others_are_not_equal() {
        let (key, mut meter) = (RandomState::new(), Meter::new(10_000));
        for (one, other, same) in [
            (json!([1, 2.0]), json!([1.0, 2]), true),
            (json!({"a": 1, "b": [null]}), json!({"b": [null], "a": 1.0}), true),
            (json!([1, 2]), json!([2, 1]), false),
            (json!({"a": 1}), json!({"b": 1}), false),
            (json!("1"), json!(1), false),
            (json!(false), json!(0), false),
            (json!([[]]), json!([{}]), false),
        ] {
            assert_eq!(equal(&one, &other, &mut meter), Ok(same), "{one} {other}");
            let hashes = (hash(&one, &key, &mut meter), hash(&other, &key, &mut meter));
            assert_eq!(hashes.0 == hashes.1, same, "{one} {other}");
        }
    }
}
