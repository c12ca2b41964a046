# Filters, columns and forms of output, in the peer's own words.
namespace peer
vm launch kvm foo[1-3],bar
.filter name=bar .column name vm info
.filter name!=bar .column name vm info
.filter name=foo .column name vm info
.filter name~foo .column name vm info
.filter name!~foo .column name vm info

# a value that is a list or a map is matched by a part of it
vm config net LAN DMZ
vm launch kvm netted
vm tag foo[1-2] role spare
.columns name,tags .filter tags=spare vm info
.columns name,vlan .filter vlan=dmz vm info
.columns name,vlan .filter vlan!=dmz vm info
.columns name .filter state=build vm info
vm kill netted
vm flush

# aliases
vm start foo2
.alias
.alias vmr=.column name .filter state=running vm info
.alias
vmr
.unalias vmr
.alias

# without headers, for one command and for good
.headers false .column name vm info
.headers false
.column name vm info
.headers true
.csv true .column name,state vm info
.csv true
.column name,state vm info
.csv false

# the outer one applies last; prefixes that mean one column
.columns ip6,ip .columns ip,ip6 vm info
.columns ip,ip6 .columns ip6,ip vm info
.filter name~foo .col ip6,ip,name vm info
.columns i vm info
.columns i,s vm info
.columns s vm info
.filter name~foo .col state vm info

# echo and what is kept of it
.preprocess false
.preprocess
echo http://localhost/
.preprocess true
.preprocess false echo http://localhost/
clear history
.record false echo hello, nobody
.record true echo hello, world
.record false
echo hello, off the record
.record true
echo hello again, world
history
clear history
history

# namespaces keep their VMs apart
namespace peer2 vm launch kvm foo1
namespace peer2 vm start all
.columns name,state vm info
namespace peer2 .columns name,state vm info
.columns name,state,namespace namespace peer2 vm info
namespace peer2 vm kill all
namespace peer2 vm flush
namespace peer2 vm info
.columns namespace,active namespace
namespace peer2 .columns namespace,active namespace
clear namespace all
