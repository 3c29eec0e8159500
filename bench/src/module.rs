//! A host program of the module: the measurements that run in their own process.

use crate::meter;
use crate::outcome::Outcome;
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use cryptoki::slot::Slot;
use serde_json::{Value, json};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

fn load(path: &str) -> Outcome<Pkcs11> {
    let module = Pkcs11::new(path)?;
    module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))?;
    Ok(module)
}

fn private_key(session: &Session) -> Outcome<ObjectHandle> {
    let found = session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY)])?;
    Ok(*found.first().ok_or("the first slot has no private key; the module's log states the reason")?)
}

/// Signs the way programs do: C_SignInit, C_Sign for the length, C_Sign.
fn sign(session: &Session, key: ObjectHandle, rsa: bool) -> Outcome<()> {
    match rsa {
        true => session.sign(&Mechanism::Sha256RsaPkcs, key, &[7; 32])?,
        false => session.sign(&Mechanism::Ecdsa, key, &[7; 32])?,
    };
    Ok(())
}

/// Signs for `time` in `threads` threads, each with its own session. Uses the key of the first slot.
pub fn warm(path: &str, threads: usize, time: Duration, rsa: bool) -> Outcome<Value> {
    let module = load(path)?;
    let slot = *module.get_slots_with_token()?.first().ok_or("no slot")?;
    meter::series(threads, time, || {
        let session = module.open_ro_session(slot)?;
        let key = private_key(&session)?;
        Ok(move || sign(&session, key, rsa))
    })
}

/// Signs in `threads` threads for `time`, from `start` on, which is a time after 1970. Returns the milliseconds of each
/// call, by thread; a failed call is null.
pub fn under_quota(path: &str, start: Duration, threads: usize, time: Duration) -> Outcome<Value> {
    let module = load(path)?;
    let slot = *module.get_slots_with_token()?.first().ok_or("no slot")?;
    let open = || -> Outcome<_> {
        let session = module.open_ro_session(slot)?;
        let key = private_key(&session)?;
        Ok((session, key))
    };
    let mut sessions = (0..threads).map(|_| open()).collect::<Outcome<Vec<_>>>()?;
    // The start may have passed on a slow machine.
    std::thread::sleep((UNIX_EPOCH + start).duration_since(SystemTime::now()).unwrap_or_default());
    let end = Instant::now() + time;
    let calls = std::thread::scope(|scope| {
        let sign_until = |(session, key): &mut (Session, ObjectHandle)| {
            let mut calls = Vec::new();
            let mut before = Instant::now();
            while before < end {
                let signed = sign(session, *key, false);
                let now = Instant::now();
                if now < end {
                    calls.push(signed.is_ok().then(|| (now - before).as_secs_f64() * 1e3));
                }
                before = now;
            }
            calls
        };
        let running: Vec<_> = sessions.iter_mut().map(|own| scope.spawn(move || sign_until(own))).collect();
        running.into_iter().map(|thread| thread.join().map_err(|_| "a thread panicked")).collect::<Result<Vec<_>, _>>()
    })?;
    Ok(json!(calls))
}

/// Measures a signature that the module refuses before any request, because the digest is empty: the time that the
/// module itself needs.
pub fn refused(path: &str, time: Duration) -> Outcome<Value> {
    let module = load(path)?;
    let slot = *module.get_slots_with_token()?.first().ok_or("no slot")?;
    meter::series(1, time, || {
        let session = module.open_ro_session(slot)?;
        let key = private_key(&session)?;
        Ok(move || match session.sign(&Mechanism::Ecdsa, key, &[]) {
            Ok(_) => Err("an empty digest was signed".into()),
            Err(_) => Ok(()),
        })
    })
}

/// Runs one of the hot paths, whose instructions are counted, `times` times.
pub fn path(path: &str, name: &str, times: usize) -> Outcome<Value> {
    let module = load(path)?;
    if name == "initialize" {
        return Ok(Value::Null);
    }
    let slot = *module.get_slots_with_token()?.first().ok_or("no slot")?;
    let session = module.open_ro_session(slot)?;
    let key = private_key(&session)?;
    let label = [Attribute::Label("bench".into()), Attribute::Class(ObjectClass::PRIVATE_KEY)];
    for _ in 0..times {
        match name {
            "sign" => sign(&session, key, false)?,
            "open and C_SignInit" => module.open_ro_session(slot)?.sign_init(&Mechanism::Ecdsa, key)?,
            "find" => drop(session.find_objects(&label)?),
            "attributes" => drop(session.get_attributes(key, &COMMON_ATTRIBUTES)?),
            "digest" => drop(session.digest(&Mechanism::Sha256, &[7; 64])?),
            _ => return Err(format!("unknown path {name}").into()),
        }
    }
    Ok(Value::Null)
}

/// The attributes of a key that OpenSSL and other programs read.
const COMMON_ATTRIBUTES: [AttributeType; 5] =
    [AttributeType::KeyType, AttributeType::Label, AttributeType::Id, AttributeType::EcParams, AttributeType::Sign];

/// Runs a program that signs once. Returns the milliseconds of each step and the resources that the process used.
pub fn once(path: &str, rsa: bool) -> Outcome<Value> {
    let mut steps = Vec::new();
    let mut began = Instant::now();
    let mut step = |name: &'static str| {
        steps.push((name, began.elapsed().as_secs_f64() * 1e3));
        began = Instant::now();
    };
    let before = meter::libraries();
    step("own");
    let module = Pkcs11::new(path)?;
    step("dlopen");
    module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))?;
    step("C_Initialize");
    let slot = *module.get_slots_with_token()?.first().ok_or("no slot")?;
    let session = module.open_ro_session(slot)?;
    let key = private_key(&session)?;
    step("find the key");
    sign(&session, key, rsa)?;
    step("sign");
    let used = json!({
        "rss_kib": meter::status("VmRSS"), "peak_kib": meter::status("VmHWM"), "threads": meter::status("Threads"),
        "libraries": meter::libraries().difference(&before).count(),
    });
    drop(session);
    module.finalize()?;
    step("C_Finalize");
    let steps: Value = steps.into_iter().map(|(name, ms)| (name.to_owned(), json!(ms))).collect();
    Ok(json!({ "ms": steps, "cpu_ms": meter::us(meter::cpu()) / 1e3, "used": used }))
}

/// Runs a program that searches among many keys. Returns the milliseconds of each step.
pub fn keys(path: &str, label: &str) -> Outcome<Value> {
    let module = Pkcs11::new(path)?;
    let before = meter::status("VmRSS");
    let began = Instant::now();
    module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))?;
    let initialize = began.elapsed();
    let began = Instant::now();
    let slots = module.get_slots_with_token()?;
    let list = began.elapsed();
    let began = Instant::now();
    let found = find_one(&module, &slots, label)?;
    let one = began.elapsed();
    let began = Instant::now();
    let all = find_all(&module, &slots)?;
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    Ok(json!({
        "C_Initialize": ms(initialize), "C_GetSlotList": ms(list), "one": ms(one), "all": ms(began.elapsed()),
        "found": found, "objects": all, "kib": meter::status("VmRSS").saturating_sub(before),
        "cpu_ms": meter::us(meter::cpu()) / 1e3,
    }))
}

/// Searches as programs do with a `pkcs11:` URI: by the token's label if there are many slots, by the key's label
/// if there is one slot.
fn find_one(module: &Pkcs11, slots: &[Slot], label: &str) -> Outcome<usize> {
    let mut found = 0;
    for slot in slots {
        if slots.len() > 1 && module.get_token_info(*slot)?.label() != label {
            continue;
        }
        let session = module.open_ro_session(*slot)?;
        let template = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Label(label.into())];
        found += session.find_objects(&template)?.len();
    }
    Ok(found)
}

fn find_all(module: &Pkcs11, slots: &[Slot]) -> Outcome<usize> {
    slots.iter().try_fold(0, |count, slot| Ok(count + module.open_ro_session(*slot)?.find_objects(&[])?.len()))
}
