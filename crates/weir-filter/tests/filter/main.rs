//! The filter from outside: what becomes of records and of their values.

#[cfg(test)]
mod explain;
#[cfg(test)]
mod fates;
#[cfg(test)]
mod seal;
#[cfg(test)]
mod sealed;
#[cfg(test)]
mod values;
#[cfg(test)]
mod world;
