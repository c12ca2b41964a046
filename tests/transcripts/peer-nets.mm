# Interfaces that are taken off and put back, in the peer's own words.
namespace peer
vm config net LAN
vm launch kvm k[0-1]
.columns name,vlan,bridge vm info
vm net disconnect k0 0
.columns name,vlan,bridge vm info
vm net disconnect all 0
.columns name,vlan,bridge vm info
vm net connect k0 0 LAN2
.columns name,vlan,bridge vm info
vm net connect all 0 LAN2 mega_bridge2
.columns name,vlan,bridge vm info

# without a bridge: the one that it is on
vm net connect k0 0 LAN3
.columns name,vlan,bridge vm info
vm net connect all 0 LAN3 mega_bridge
vm start all
vm net disconnect k0 0
.columns name,state,vlan,bridge vm info
vm net connect k0 0 LAN2
vm kill all
vm net disconnect k1 0
.columns name,state,vlan,bridge vm info

# one more
vm start k1
vm net add k1 100
vm net disconnect k1 1
.columns name,vlan,bridge .filter name=k1 vm info
vm net connect k1 1 100

# what is not there
vm net disconnect k0 1
vm net connect k0 1 LAN
vm net connect k[0-1] 7 LAN
vm net connect k0 x LAN
vm net disconnect k0 1.5
vm net disconnect nobody 0
capture pcap vm k1 one x.pcap
capture pcap delete vm k1 one
capture pcap vm k1 2 x.pcap
capture pcap snaplen many
qos add k1 2 loss 1
qos add k1 one loss 1
qos add k1 0 loss 150
qos add k1 0 delay 100xbit
qos add k1 0 rate fast mbit
clear namespace peer
clear vlans all
