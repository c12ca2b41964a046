# aliases get the lowest free numbers; numbers that are used directly are kept from them
namespace red
vlans
vm config net A 101
vm config net
vlans
vlans add B 200
vlans add B 201
vlans add C 200
vlans add C 5000
vlans add C x
vlans range
vlans range 300 310
vlans range 310 300
vlans range 0 10
vlans range 300 4097
vlans range 4095 4096
vlans range 4094 4096
vlans range
vlans range 300 310
vlans range
vm config net C
vlans
vlans blacklist 301
vm config net D
vlans
vm config net 0
vm config net 4095
vm config net red//A
vm config net nobody//A

# private bridges
ns bridge lan
ns bridge lan
ns bridge mega_bridge
ns bridge other gre
ns del-bridge nothing
vm config net lan,A
vm launch kvm a
ns del-bridge lan
clear vlans
vm kill a
ns del-bridge lan
vm flush
clear vlans A
vlans

# two namespaces with the same alias number on a bridge that both share
clear vm config
vm config net X
vm launch kvm x
namespace blue
vlans add Y 300
vlans
clear namespace all
