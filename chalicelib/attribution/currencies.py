"""Currencies that amounts may be in (R12): ISO 4217's, and those that settings name.

Whatever else a client sends counts as ``other``: a code is part of what tallies count by, so clients must not make up
as many as they like. Amounts in ``other`` are sums of unlike things; that there are any is all that they say.
"""

from __future__ import annotations

from collections.abc import Collection

OTHER = "other"
"""Of amounts in no known currency, and of event types beyond those that a generation of tallies counts by name."""

_CODES = """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF
CHE CHF CHW CLF CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF
GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD
LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP
PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP
TRY TTD TWD TZS UAH UGX USD USN UYI UYU UYW UZS VED VES VND VUV WST XAF XAG XAU XBA XBB XBC XBD XCD XCG XDR XOF
XPD XPF XPT XSU XTS XUA XXX YER ZAR ZMW ZWG
BYR CUC HRK LTL MRO SLL STD VEF ZMK ZWL
"""

ISO_4217 = frozenset(_CODES.split())
"""Codes in force, and those that ended since 2015, before which no archive of Pinpoint's events begins."""


def known_currency(code: str, configured: Collection[str] = ()) -> str:
    """A currency's code as it is counted: itself where it is known, else ``other``."""
    return code if code in ISO_4217 or code in configured else OTHER
