"""Why a finding matters, by its code: one sentence for whoever does not know the system by heart. Pure."""

from __future__ import annotations

_NOT_EQUAL = "It gets work only when no other station is ready."
_NO_WORK = "It gets no work; the others carry all of it."
_STALE = "Clients go on with the last good generation, and get nothing newer."

IMPACTS = {
    "NoStationReady": "Clients get the last good state from one station at best, or nothing.",
    "SingleStation": "There is no failover: its maintenance or failure stops all updates.",
    "NoSpareStation": "One more failure stops all updates.",
    "PortsDiffer": "Clients are sent to one set of ports; stations with others refuse them.",
    "DirectoriesDiffer": "It changes nothing for clients.",
    "VolumeShared": "A copy fewer on the network and on disk; and the storage is what all of them depend on.",
    "VolumeUnproved": "Removals from the volume could meet, were it copied.",
    "VolumeCopied": "Two volumes with one id would be taken for one; the station is kept out until that is settled.",
    "BalancerSilent": "It may serve with an old list of stations, and not be believed any more after a day.",
    "BalancersUnstated": "Stations refuse the PROXY protocol from addresses that they do not know.",
    "HubListening": "Nothing new becomes visible and no lease is given meanwhile; serving goes on.",
    "CaNearEnd": "Machines would refuse the hub, and clients the mirrors.",
    "NotRegistered": "It counts as a station and serves nothing.",
    "Silent": "It may serve what it has as a last resort; the others go on without it.",
    "Draining": _NOT_EQUAL,
    "NotApplied": "It still works by its former settings.",
    "NotReady": _NO_WORK,
    "AddressSilent": "Balancers and peers come to that address; for them it may be dead.",
    "ClockSkew": "Certificates, signatures and metadata are judged by it; beyond five minutes nothing is removed.",
    "CertificateNamesOther": "Clients that check certificates refuse this station.",
    "CertificateInvalid": "Clients that check certificates refuse this station.",
    "CertificateMissing": "Nothing is served over HTTPS.",
    "CertificateNearEnd": "Clients that check certificates refuse this station from then on.",
    "VolumeOnRoot": "When the mirror fills it, the whole host suffers.",
    "VolumeNotWritable": _STALE,
    "VolumeReadOnly": _STALE,
    "VolumeFull": _STALE,
    "VolumeDamaged": "What cannot be read is missing here: peers fill it for clients while they have it.",
    "FilesLost": "Clients get them from peers meanwhile; it gets work only when no other station is ready.",
    "VolumeUnusable": _NO_WORK,
    "VolumeNearlyFull": "Syncs that do not fit are refused; the last good generation stays.",
    "VolumeSilent": _NO_WORK,
    "VolumeReturning": _NO_WORK,
    "VolumeUnknown": _NO_WORK,
    "NobodyLeads": _STALE,
    "PortsChanging": "Clients find the ports that they are told, and those that they were told before.",
    "PastTheBalancer": "They have no other station when that one fails.",
    "GroupSplit": "Each group mirrors for itself, and neither stands in for the other.",
    "NeverVisible": "Instances that need it get nothing from it.",
    "NoHolder": "Clients were told of content that nobody serves: their package managers fail.",
    "Lagging": "It does not hold the others back any more, and serves only as a last resort.",
    "CatchingUp": "The others wait for it before clients get the newest generation, up to the lag limit.",
    "Behind": _NOT_EQUAL,
    "Unconfirmed": _NOT_EQUAL,
    "HubThroughPeer": "It works as an equal while that peer does; by itself it would be a server of last resort.",
    "Unproved": _NOT_EQUAL,
    "Gone": "It serves nobody.",
    "NoDesiredState": _NO_WORK,
    "NginxSilent": _NO_WORK,
    "SquidSilent": "Instances cannot reach the hub through it; it gets no work.",
    "AgentPortTaken": "After a return it gets its whole share of the work at once.",
    "SetupFailed": "Clients or balancers may meet a closed firewall.",
    "PortTaken": _NOT_EQUAL,
    "RecordRefused": "Somebody else writes to the volume, or it is damaged; nobody goes by what was refused.",
    "RecordDiffers": "A host that starts without the hub and without its state would come back with older settings.",
    "WouldNotFit": "Clients get nothing newer of that source until there is room.",
    "NumberConflict": "Hub and volume remember differently, as after a restored backup; clients keep what they have.",
    "PermittedRange": "Those whom the entry meant are refused.",
}


def impact_of(code: str, *, is_trouble: bool) -> str:
    """The sentence of a code; for codes of upstreams and programs, what holds for all of them."""
    usual = "The last good state is served meanwhile." if is_trouble else "It changes nothing for clients."
    return IMPACTS.get(code, usual)
