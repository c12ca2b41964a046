# copies of a tap's traffic
namespace red
ns add-hosts localhost
vm config networks LAN LAN
vm config schedule mm1
vm launch kvm web
vm launch kvm monitor
vm config schedule mm2
vm launch kvm far
vm start all
tap mirror web 0 monitor 0
tap mirror web 0 monitor 1

# a tap is the mirror of one other, on its own host and bridge, and of no loop
tap mirror web 1 monitor 0
tap mirror monitor 0 web 0
tap mirror web 0 web 0
tap mirror web 0 far 0
tap mirror web 0 c 0
tap mirror c 0 monitor 0
tap mirror c 0 d 0
tap mirror web 2 monitor 0
tap mirror web x monitor 0
clear tap mirror monitor 0
clear tap mirror monitor 0
clear tap mirror web 0
clear tap mirror monitor 7
clear tap mirror nobody 0
clear tap mirror nobody all
clear tap mirror monitor all
tap mirror web 1 monitor 0
clear tap mirror

# host taps
tap create LAN name watch
tap create LAN name here
tap create LAN bridge foo name there
tap create LAN name away on mm2
tap mirror here watch
tap mirror here watch mega_bridge
tap mirror here nowhere
tap mirror nowhere watch
tap mirror here there foo
tap mirror here away
tap mirror there here
clear tap mirror watch
clear tap mirror watch
tap mirror here watch
tap delete here
tap create LAN name here
clear tap mirror watch
clear tap mirror all
tap delete all
clear namespace all
