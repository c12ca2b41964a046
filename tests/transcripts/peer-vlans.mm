# Aliases, ranges, blacklist and taps, in the peer's own words.
namespace peer
clear vlans all
vm config net 101
vm config net A # should be 102
vlans
vm config net B # should be 103
vm config net A
vlans
vlans add foo 200
vlans add foo 201
vlans add bar 200
vlans add bar 300
vlans

# aliases of other namespaces
namespace other
vm config net A # should be 104
vlans
vm config net peer//A
vm config net
vlans

# ranges: what comes next is the lowest free number
namespace peer
vlans range
vlans range 130 120
vlans range 120 x
vlans range 120 130
vlans range
vm config net C # should be 120
vlans
vlans range
namespace minimega vlans range
.columns vlans .filter namespace=peer namespace

# the blacklist is the whole cluster's
vlans blacklist
vlans blacklist x
vlans blacklist 121
vlans blacklist
namespace other vlans blacklist
vlans range

# all or some are forgotten
clear vlans A
vlans
clear vlans
vlans

# taps of namespaces on one bridge
.filter bridge=minitest tap
tap create 10 bridge minitest name minitest_tap0
tap create 10 bridge minitest name minitest_tap0
tap create 10 bridge minitest ip 192.168.100.1/24 minitest_tap1
tap
namespace other tap create 10 bridge minitest name minitest_tap2
namespace other .filter bridge=minitest tap
namespace other tap delete minitest_tap0
tap delete nobody
tap create LAN on nobody
tap delete all
tap
tap create foo
tap create 10 bridge minitest dhcp minitest_tap3
tap
.filter vlan=101 tap
clear tap
tap
clear namespace all
clear vlans all
