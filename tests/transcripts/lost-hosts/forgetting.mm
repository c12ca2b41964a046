# mm1 (with a VM) and mm2 (without) are lost, mm3 is alive.
namespace red
.columns host,state .filter host~mm mesh list
.columns host,state .filter host~mm mesh status
.columns name,host,state vm info
vm start a
host forget mm[1-3]
host forget mm2
host forget mm2
.columns host,state .filter host~mm mesh status
host forget mm1
host forget mm1 --fenced
host forget mm1 --fenced
.columns name,host,state vm info
vm start a
.columns name,host,state vm info
.columns host,state .filter host~mm mesh status
