# SPDX-License-Identifier: MIT
<#
.SYNOPSIS
    Creates a Generation 2 virtual machine from a disk of Barebus, watches it, asks it to shut down, and says whether all went well.

.DESCRIPTION
    To be run on the Hyper-V host, as an administrator, in Windows PowerShell 5.1 or PowerShell 7. docs/hyper-v.md says what each
    line of the verdict means. The machine and its copy of the disk are removed afterwards, unless -Keep is given or a step failed.

.PARAMETER Disk
    barebus.vhdx, as 'make image' makes it. It is copied: the original is not changed.

.PARAMETER Log
    File that gets what the guest writes to COM1.

.EXAMPLE
    .\Test-Barebus.ps1 -Disk .\barebus.vhdx
#>
[CmdletBinding()]
param(
    [Parameter(Mandatory)] [string] $Disk,
    [string] $Name = 'Barebus-test',
    [long] $Memory = 512MB,
    [int] $Seconds = 60,
    [string] $Log = '.\barebus-console.log',
    [switch] $Keep
)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$results = [ordered]@{}
function Set-Result([string] $Step, [bool] $Good, [string] $Detail) {
    $results[$Step] = $Good
    $word = if ($Good) { 'good' } else { 'BAD ' }
    Write-Host ("{0}  {1,-24} {2}" -f $word, $Step, $Detail)
}

# Calls $Look every half second until it returns something, at most so long.
function Wait-For([scriptblock] $Look, [int] $Limit) {
    $end = (Get-Date).AddSeconds($Limit)
    do {
        $found = & $Look
        if ($found) { return $found }
        Start-Sleep -Milliseconds 500
    } while ((Get-Date) -lt $end)
    return $null
}

# What the guest tells by KVP: XML in the WMI class that Hyper-V documents for it.
function Get-GuestItems {
    $system = Get-CimInstance -Namespace root\virtualization\v2 -ClassName Msvm_ComputerSystem -Filter "Name='$($vm.Id)'"
    $kvp = Get-CimAssociatedInstance -InputObject $system -ResultClassName Msvm_KvpExchangeComponent
    $items = @{}
    foreach ($text in @($kvp.GuestIntrinsicExchangeItems) + @($kvp.GuestExchangeItems)) {
        if (-not $text) { continue }
        $values = @{}
        foreach ($property in ([xml] $text).INSTANCE.PROPERTY) {
            $value = $property.PSObject.Properties['VALUE']
            if ($value) { $values[$property.NAME] = $value.Value }
        }
        $items[$values['Name']] = $values['Data']
    }
    return $items
}

if (Get-VM -Name $Name -ErrorAction SilentlyContinue) {
    throw "There is a virtual machine '$Name' already: remove it, or choose another -Name."
}
$source = Get-Item -LiteralPath $Disk
$copy = Join-Path (Get-VMHost).VirtualHardDiskPath "$Name.vhdx"
if (Test-Path -LiteralPath $copy) { throw "$copy is there already: remove it, or choose another -Name." }

# A sparse or compressed file is refused by Hyper-V (0xC03A001A); a plain copy is neither.
Copy-Item -LiteralPath $source.FullName -Destination $copy
& fsutil sparse setflag $copy 0 | Out-Null
& compact /u $copy | Out-Null

$pipe = "$Name-com1"
$logFile = $ExecutionContext.SessionState.Path.GetUnresolvedProviderPathFromPSPath($Log)
$reader = $null
try {
    $vm = New-VM -Name $Name -Generation 2 -MemoryStartupBytes $Memory -VHDPath $copy
    Set-VMFirmware -VM $vm -EnableSecureBoot Off -FirstBootDevice (Get-VMHardDiskDrive -VM $vm)
    Set-VMProcessor -VM $vm -Count 1
    Set-VMMemory -VM $vm -DynamicMemoryEnabled $true -MinimumBytes 128MB -StartupBytes $Memory -MaximumBytes ($Memory * 2)
    Set-VMComPort -VM $vm -Number 1 -Path "\\.\pipe\$pipe"
    Set-VM -VM $vm -AutomaticCheckpointsEnabled $false -CheckpointType Disabled -AutomaticStopAction TurnOff
    Get-VMIntegrationService -VM $vm | Enable-VMIntegrationService
    Set-Result 'created' $true "generation 2, $($Memory / 1MB) MiB, Secure Boot off"

    Start-VM -VM $vm
    $started = Get-Date
    $reader = Start-Job -ArgumentList $pipe, $logFile -ScriptBlock {
        param($pipe, $log)
        $stream = New-Object System.IO.Pipes.NamedPipeClientStream('.', $pipe, [System.IO.Pipes.PipeDirection]::InOut)
        $stream.Connect(30000)
        $file = [System.IO.File]::Create($log)
        $buffer = New-Object byte[] 4096
        while (($count = $stream.Read($buffer, 0, $buffer.Length)) -gt 0) {
            $file.Write($buffer, 0, $count)
            $file.Flush()
        }
    }
    Set-Result 'started' ($vm.State -eq 'Running') "$($vm.State)"

    $heartbeat = Wait-For {
        $vm = Get-VM -Name $Name
        if ("$($vm.Heartbeat)" -like 'Ok*') { "$($vm.Heartbeat)" }
    } $Seconds
    $took = [int]((Get-Date) - $started).TotalSeconds
    Set-Result 'heartbeat' ([bool] $heartbeat) $(if ($heartbeat) { "$heartbeat after $took s" } else { "none within $Seconds s" })

    $items = Wait-For { $found = Get-GuestItems; if ($found.Count -gt 0) { $found } } 30
    $shown = if ($items) { ($items.GetEnumerator() | Sort-Object Name | ForEach-Object { "$($_.Name)=$($_.Value)" }) -join ' ' } else { 'nothing within 30 s' }
    Set-Result 'key-value pairs' ([bool] $items) $shown

    $demand = Wait-For { $now = Get-VM -Name $Name; if ($now.MemoryDemand -gt 0) { $now.MemoryDemand } } 30
    Set-Result 'dynamic memory' ([bool] $demand) $(if ($demand) { "the guest demands $($demand / 1MB) MiB" } else { 'no report within 30 s' })

    try {
        Stop-VM -Name $Name -Force -ErrorAction Stop # asks the guest by the shutdown service
        $off = Wait-For { (Get-VM -Name $Name).State -eq 'Off' } 30
        Set-Result 'shutdown' ([bool] $off) $(if ($off) { 'the guest switched itself off' } else { 'still running after 30 s' })
    } catch {
        Set-Result 'shutdown' $false $_.Exception.Message
    }

    Wait-Job -Job $reader -Timeout 5 | Out-Null
    $console = if (Test-Path -LiteralPath $Log) { Get-Content -LiteralPath $Log -Raw } else { '' }
    Set-Result 'console' ($console -match 'Barebus, started by UEFI') "see $Log"
    Set-Result 'bus' ($console -match 'vmbus: connected, version|vmbus connected_us=') 'VMBus connected, by the console'
    Set-Result 'no panic' (-not ($console -match 'panic:')) 'by the console'
    $crash = Get-WinEvent -ErrorAction SilentlyContinue -FilterHashtable @{
        LogName = 'Microsoft-Windows-Hyper-V-Worker-Admin'; Id = 18590; StartTime = $started } |
        Where-Object { $_.Message -like "*$Name*" }
    Set-Result 'no crash event' (-not $crash) $(if ($crash) { $crash[0].Message } else { 'no event 18590' })
} finally {
    if ($reader) { Stop-Job -Job $reader; Remove-Job -Job $reader -Force }
    $bad = @($results.GetEnumerator() | Where-Object { -not $_.Value })
    $machine = Get-VM -Name $Name -ErrorAction SilentlyContinue
    if ($machine -and -not $Keep -and $bad.Count -eq 0 -and $results.Count -gt 0) {
        if ($machine.State -ne 'Off') { Stop-VM -VM $machine -TurnOff -Force }
        Remove-VM -VM $machine -Force
        Remove-Item -LiteralPath $copy -Force
    } elseif ($machine) {
        Write-Host "The virtual machine '$Name' and $copy are left as they are."
    }
}
Write-Host ''
if ($bad.Count -eq 0) {
    Write-Host "VERDICT: good, $($results.Count) steps."
    exit 0
}
Write-Host "VERDICT: BAD: $(($bad | ForEach-Object { $_.Key }) -join ', '). Please send $Log and these lines."
exit 1
